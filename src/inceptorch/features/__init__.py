"""Features of images, kept on disk, and the measures between two sets of images that are made of them."""
