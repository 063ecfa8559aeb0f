"""Images with boxes: one file a format. `open.py` recognizes it, and `base.py` makes a split of what is read."""
