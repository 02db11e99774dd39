"""What crosses a process boundary: events from a worker, commands to it. One JSON object a line, both ways."""
