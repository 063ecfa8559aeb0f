"""How fast and how well networks train."""
