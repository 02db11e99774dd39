"""What the page Models and the picker are made of: a list of what is here, a search of the Hub, and downloads."""
