"""The starter's workshop: a small made-up world, its corpus, tokenizer, model and dataset. See README.md here."""
