"""The model where none is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inceptorch.classifier import Classifier
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from inceptorch.visualization.default_model import open_classifier, remark_on_inception_v3
from tests.helpers import classifier_of


def test_a_classifier_is_taken_as_it_is(tiny: Classifier) -> None:
    assert open_classifier(tiny) is tiny


def test_inception_v3_is_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    for name, poor in (("inception_v3", True), ("googlenet_tiny", False)):
        network = classifier_of(replace(get_network("googlenet_tiny"), name=name), classes=2)
        remark_on_inception_v3(network, Progress())
        assert ("Inception-v3 gives poor images" in capsys.readouterr().err) == poor
