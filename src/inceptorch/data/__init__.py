"""Labeled images: folders, zip files, lists, shards and torchvision's data sets, all as splits."""

from inceptorch.data.box_split import BoxSplit, Problem
from inceptorch.data.groups import train_val_split
from inceptorch.data.resolve import find_split, find_train_and_val, has_boxes
from inceptorch.data.split import Split, fingerprint, subsample_per_class
from inceptorch.data.verify import Skipped, without_unreadable

__all__ = [
    "BoxSplit",
    "Problem",
    "Skipped",
    "Split",
    "find_split",
    "find_train_and_val",
    "fingerprint",
    "has_boxes",
    "subsample_per_class",
    "train_val_split",
    "without_unreadable",
]
