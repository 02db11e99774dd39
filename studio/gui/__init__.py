"""The window. Qt lives here and nowhere below; torch never comes in."""
