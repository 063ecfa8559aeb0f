"""Seeing with these networks: images optimized for what a layer answers to, dreams and style transfer."""
