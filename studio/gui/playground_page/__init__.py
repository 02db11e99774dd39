"""The Playground page: one composer, two models side by side."""
