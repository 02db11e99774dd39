"""Export: merge while writing, safetensors and GGUF files, and the check of what was written. llama.cpp lives here."""
