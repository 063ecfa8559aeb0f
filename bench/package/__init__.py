"""The package itself: its size and its start-up."""
