"""Containers of rows: one reader each. Which one a file needs is decided in `studio.data.source`."""
