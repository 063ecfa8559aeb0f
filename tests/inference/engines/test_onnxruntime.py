"""ONNX Runtime computes what torch does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.complexity import min_size
from inceptorch.networks.layers import LRN, Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of
from tests.inference.engines.helpers import differences

# Of every line and with every word of the vocabulary: grouped, separable and rectangular windows, all paddings and
# averages, both normalizations, residual modules, fully connected heads.
LINES = (
    "googlenet", "googlenet_separable", "googlenet_tv", "googlenet_fc", "bn_inception_caffe", "inception_v2",
    "inception_v3_tv", "inception_v4_small", "inception_resnet_v1_small", "alexnet", "vgg16_small", "nin",
)  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_networks_answer_alike_on_torch_and_onnxruntime(name: str, tmp_path: Path) -> None:
    net = get_network(name)
    classifier_of(net, size=max(min_size(net), min(net.size, 64))).save(tmp_path / "bundle")
    ours, theirs = (open_engine(tmp_path / "bundle", engine) for engine in ("torch", "onnxruntime"))
    crops = random_images(ours.config.preprocessing.size, 2)
    probability, maps = differences(ours, theirs, crops)
    assert probability < 1e-5
    assert maps < 1e-4
    assert np.ptp(ours.run(crops, maps=True).probabilities, 0).max() > 1e-4, "the answers say nothing of the images"


@pytest.mark.parametrize("spec", [LRN(5, 3.0), LRN(3, 2.0, 0.5, 2.0)])
def test_local_response_norm(spec: LRN, tmp_path: Path) -> None:
    """So strong that a band or a power that is a little off would show."""
    plain = NetworkSpec(
        "norm",
        title="one",
        source="these tests",
        size=16,
        body={"conv1": Conv(8, 3)},
        head={"avgpool": GlobalAverage()},
    )
    normed = replace(plain, body={**plain.body, "norm1": spec})
    crops = random_images(16, 3)
    answers = []
    for number, net in enumerate((plain, normed)):
        classifier_of(net).save(tmp_path / str(number))
        engines = [open_engine(tmp_path / str(number), each) for each in ("torch", "onnxruntime", "openvino")]
        answers.append(engines[0].run(crops, maps=True).probabilities)
        for engine in engines[1:]:
            assert np.abs(engine.run(crops, maps=True).probabilities - answers[-1]).max() < 1e-5
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
