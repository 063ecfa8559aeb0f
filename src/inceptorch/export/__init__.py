"""Shipping: a classifier as one file that needs no torch."""

from inceptorch.export.exporting import Exported, export
from inceptorch.export.quantise import Quantised

__all__ = ["Exported", "Quantised", "export"]
