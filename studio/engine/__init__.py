"""Training itself, on torch: loading, preparing, the one loop, loss, memory, checkpoints. No Qt, no command line."""
