"""Rows of a file kept for looking at: Parquet parts behind DuckDB, their lengths in tokens, findings, edited copies.

Nothing here trains. Training reads the file itself (`studio.data.training_data`); both find rows by their ordinal.
"""
