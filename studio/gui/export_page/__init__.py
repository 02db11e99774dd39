"""The Export page: what as, how small, where, how far, and whether the file is the model."""
