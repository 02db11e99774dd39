"""Base models: where they are, what is known of them without torch, their tokenizer and chat template."""
