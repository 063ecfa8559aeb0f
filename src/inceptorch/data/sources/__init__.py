"""Where images and labels are read from: one file a kind of source."""
