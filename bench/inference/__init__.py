"""How fast classifiers answer."""
