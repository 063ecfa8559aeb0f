"""Classifiers over HTTP: one process, whose connections share batches."""
