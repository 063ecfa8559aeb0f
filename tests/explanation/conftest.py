"""Fixtures of classifiers to explain."""

from __future__ import annotations

from pathlib import Path

import pytest

from inceptorch.classifier import Classifier
from inceptorch.classifier.convert import import_weights
from inceptorch.images.preprocessing import ImageArray
from tests.conftest import TINY
from tests.explanation.helpers import EVERY, classifier_of, colors_classifier, red_and_green_crop


@pytest.fixture
def tiny_classifier() -> Classifier:
    return classifier_of(TINY)


@pytest.fixture
def every() -> Classifier:
    return classifier_of(EVERY)


@pytest.fixture(scope="module")
def bvlc(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return import_weights(npz, tmp_path_factory.mktemp("converted") / "googlenet")


@pytest.fixture(scope="module")
def colors() -> Classifier:
    return colors_classifier()


@pytest.fixture
def red_and_green() -> ImageArray:
    return red_and_green_crop()
