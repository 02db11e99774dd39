"""Folders on disk: projects, runs, journals, shareable bundles, and the worker processes that fill them."""
