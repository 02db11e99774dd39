"""What a run will take in memory, on disk and in time, and what makes it fit. Arithmetic only: no torch, no Qt."""
