"""Conversations with GGUF files: llama.cpp lives here. Models in torch answer through the engine."""
