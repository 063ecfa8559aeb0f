"""How fast images are found, read and checked."""
