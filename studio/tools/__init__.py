"""Data tools: one file each. The first one is still to come."""
