"""Measurements, not tests: each module prints a table of ratios taken in one run. CI never runs them."""
