"""Folders and zip files of class folders, as lists of labelled pictures."""

from inceptorch.data.folder import Split, find_split, find_train_and_held_out, fingerprint, limited, stratified
from inceptorch.data.verify import Skipped, without_unreadable

__all__ = [
    "Skipped",
    "Split",
    "find_split",
    "find_train_and_held_out",
    "fingerprint",
    "limited",
    "stratified",
    "without_unreadable",
]
