"""The pages. One light file each: it names the page and says how its widget is built."""
