"""Answers in a file: JSON lines, CSV, Parquet."""
