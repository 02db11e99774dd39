"""What this computer has: its devices, and whether each part of the program works on it."""
