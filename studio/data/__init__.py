"""Rows to tokens: reading files of any size, conversations, rendering with loss masks, the token cache, batches."""
