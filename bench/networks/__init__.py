"""Building and running layers of networks."""
