"""Training streamed from the drive: weights pass through one layer at a time, optimizer state stays where it lies."""
