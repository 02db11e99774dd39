"""Plots on pyqtgraph. Nothing imports this room but what a page loads when it is first shown."""
