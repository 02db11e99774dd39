"""The installer: makes `.venv`, fills it, tests it, starts the program. Standard library only, no `studio`."""
