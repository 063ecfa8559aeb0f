"""Shipping a classifier: one exported file, 8 bits, and how fast each engine executes it here."""
