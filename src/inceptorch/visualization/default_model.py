"""The model where none is named, and what is known of the images that models give."""

from __future__ import annotations

from pathlib import Path

from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.utils.progress import Progress

DEFAULT_MODEL = "googlenet.bvlc"


def open_classifier(model: Classifier | str | Path | None) -> Classifier:
    """A classifier as it is; else a bundle, a run, or published weights by name, on the best device. By default
    `DEFAULT_MODEL`. Raises BundleError."""
    return model if isinstance(model, Classifier) else load(model or DEFAULT_MODEL).to_best_device()


def remark_on_inception_v3(classifier: Classifier, progress: Progress) -> None:
    """Say that its images are poor (tensorflow/lucid#61)."""
    if classifier.config.architecture.startswith("inception_v3"):
        progress.info("Inception-v3 gives poor images; why it does is an open question. googlenet.bvlc gives good ones")
