"""One file an export target; each holds `TARGET`."""
