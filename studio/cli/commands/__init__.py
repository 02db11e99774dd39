"""One file a command. A file holds `COMMAND`, a function; its file name is the command's name on the command line."""
