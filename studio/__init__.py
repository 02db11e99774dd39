"""Tunesmith: a desktop studio for fine-tuning language models on one consumer GPU."""

__version__ = "0.1.0"
