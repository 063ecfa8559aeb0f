"""Weights in and out: other libraries' files to bundles, and bundles to the names those libraries use."""

from inceptorch.classifier.convert.export_weights import export_weights
from inceptorch.classifier.convert.import_weights import import_weights

__all__ = ["export_weights", "import_weights"]
