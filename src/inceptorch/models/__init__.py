"""The torch modules that tables describe, and their weights."""
