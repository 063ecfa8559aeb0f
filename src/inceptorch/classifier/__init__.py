"""A classifier: a model with its config, in a folder on disk."""

from inceptorch.classifier.classifier import Classifier, Prediction, load

__all__ = ["Classifier", "Prediction", "load"]
