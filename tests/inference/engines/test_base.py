"""What all engines have in common."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import inceptorch
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_graph import pooled_layer
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of
from tests.inference.engines.helpers import differences


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_channels_and_numbers_of_images(tiny: NetworkSpec, channels: str, engine: str, tmp_path: Path) -> None:
    classifier_of(tiny, channels=channels).save(tmp_path / "bundle")
    ours, theirs = (open_engine(tmp_path / "bundle", each) for each in ("torch", engine))
    for count in (1, 2, 7, 32):
        probability, maps = differences(ours, theirs, random_images(16, count))
        assert probability < 1e-5
        assert maps < 1e-4


def test_maps_average_to_the_logits(bundle: Path) -> None:
    classifier = inceptorch.load(bundle)
    crops = random_images(16, 3)
    logits = classifier.logits(crops).numpy()
    bias = classifier.model.get_classifier().bias.detach().numpy()
    for engine in ("torch", "onnxruntime", "openvino"):
        answer = open_engine(bundle, engine).run(crops, maps=True)
        assert answer.maps is not None
        assert answer.map_classes is not None
        assert answer.maps.shape == (3, 5, 4, 4)
        expected = np.take_along_axis(logits, answer.map_classes, 1) - bias[answer.map_classes]
        np.testing.assert_allclose(answer.maps.mean((2, 3)), expected, atol=1e-5)
        assert (np.diff(np.take_along_axis(logits, answer.map_classes, 1)) <= 0).all()


def test_heads_of_fully_connected_layers_have_no_maps() -> None:
    assert pooled_layer(get_network("googlenet"), (3, 224, 224)) == "avgpool"
    assert pooled_layer(get_network("alexnet"), (3, 224, 224)) is None


def test_calls_from_many_threads_do_not_mix(bundle: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    crops = random_images(16, 32)
    for engine in ("onnxruntime", "openvino"):
        opened = open_engine(bundle, engine, streams=2)
        alone = opened.run(crops, maps=True).probabilities
        with ThreadPoolExecutor(8) as pool:
            together = list(
                pool.map(lambda i, run=opened: run.run(crops[i : i + 1], maps=True).probabilities[0], range(32))
            )
        np.testing.assert_allclose(np.stack(together), alone, atol=1e-6)


FORKED = """
import os, signal, sys
import torch
from inceptorch.errors import EngineError
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images

torch.set_num_threads(2)
engine, crops = open_engine(sys.argv[1], sys.argv[2]), random_images(64, 16)
expected = engine.run(crops).probabilities
child = os.fork()
if child == 0:
    signal.alarm(30)
    try:
        same = abs(engine.run(crops).probabilities - expected).max() < 1e-5
        os._exit(0 if same else 1)
    except EngineError as error:
        os._exit(3 if "in a forked process" in str(error) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "status"), [("torch", 0), ("onnxruntime", 0), ("openvino", 3)])
def test_a_forked_process_answers_or_says_why_not(engine: str, status: int, tmp_path: Path) -> None:
    """OpenMP's and OpenVINO's threads stay in the parent, and a child would wait for them for ever."""
    classifier_of(get_network("googlenet_small"), size=64).save(tmp_path / "bundle")
    words = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "bundle"), engine]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "2"}, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(status)
