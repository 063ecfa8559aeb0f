"""From an image to the uint8 crops that a network sees."""
