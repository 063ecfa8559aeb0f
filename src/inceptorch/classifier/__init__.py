"""A classifier: a model with its config, in a folder on disk."""

from inceptorch.classifier.classifier import Classifier, TopClass
from inceptorch.classifier.config import ClassifierConfig, Metadata

__all__ = ["Classifier", "ClassifierConfig", "Metadata", "TopClass"]
