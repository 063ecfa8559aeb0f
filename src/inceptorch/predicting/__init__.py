"""Saying what is in any number of pictures: decoding, the network and writing at the same time, on one machine or many."""

from inceptorch.predicting.asking import Asked, Entry, predictions
from inceptorch.predicting.overlap import answered
from inceptorch.predicting.writing import alone, made_with, new_output, write_answers

__all__ = ["Asked", "Entry", "alone", "answered", "made_with", "new_output", "predictions", "write_answers"]
