"""What the page Preferences is made of."""
