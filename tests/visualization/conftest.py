from __future__ import annotations

import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of


@pytest.fixture(scope="session")
def tiny() -> Classifier:
    torch.manual_seed(0)
    return classifier_of(get_network("googlenet_tiny"), classes=3)
