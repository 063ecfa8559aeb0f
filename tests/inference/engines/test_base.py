"""What all engines have in common."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import inceptorch
from inceptorch.classifier.config import ClassifierConfig
from inceptorch.errors import EngineError, NonFiniteOutputError
from inceptorch.explanation import gradcam
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.boxes import BoxPredictor
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.base import boxes_of_images
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.detection import MAX_BOXES
from inceptorch.networks.layers import GlobalAverage, GlobalMax, Layer, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_graph import pooled_layer
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of, detector_of
from tests.inference.engines.helpers import assert_same_boxes, differences


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


@pytest.mark.parametrize(
    "pool", [GlobalAverage(), GlobalMax(), Pool("max", 4, 1, "valid")], ids=["average", "maximum", "window"]
)
def test_maps_are_those_of_gradcam(pool: Layer, tiny: NetworkSpec, tmp_path: Path) -> None:
    """Its gradients, averaged over the 16 places, are the classifier's weights over 16."""
    classifier = classifier_of(replace(tiny, head={"whole": pool}))
    classifier.save(tmp_path / "bundle")
    crops = random_images(16, 3)
    for engine in ("torch", "onnxruntime", "openvino"):
        answer = open_engine(tmp_path / "bundle", engine).run(crops, maps=True)
        assert answer.maps is not None
        assert answer.map_classes is not None
        expected = gradcam(classifier, list(crops), answer.map_classes[:, 0].tolist(), list(tiny.body)[-1])
        np.testing.assert_allclose(np.maximum(answer.maps[:, 0], 0) / 16, expected, atol=1e-5)


def test_heads_of_fully_connected_layers_have_no_maps() -> None:
    assert pooled_layer(get_network("googlenet"), (3, 224, 224)) == "avgpool"
    assert pooled_layer(get_network("inception_32"), (3, 32, 32)) == "maxpool"
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


NETWORKS = {"googlenet_small": (96, 64), "googlenet": (160, 96), "inception_v3": (160, 128)}  # of two and three maps


@pytest.mark.parametrize("name", NETWORKS)
def test_detectors_find_the_same_boxes_on_every_engine(name: str, tmp_path: Path) -> None:
    width, height = NETWORKS[name]
    detector_of(get_network(name), width=width, height=height).save(tmp_path / "bundle")
    images = random_images((width, height), 3)
    images[2] = 128
    ours = open_engine(tmp_path / "bundle", "torch")
    expected = ours.detect(images)
    assert len({len(each) for each in expected}) > 1, "the numbers say nothing of the images"
    assert min(len(each) for each in expected) > 5
    for each in expected:
        assert (np.diff(each.scores) <= 0).all()
        assert (each.sides > 0).all()
    for engine in ("onnxruntime", "openvino"):
        theirs = open_engine(tmp_path / "bundle", engine)
        assert_same_boxes(theirs.detect(images[:1]), expected[:1])
        assert_same_boxes(theirs.detect(images), expected)


@pytest.mark.parametrize("channels", ["bgr", "gray"])
def test_detectors_of_other_channels(channels: str, tmp_path: Path) -> None:
    detector_of(get_network("googlenet_small"), channels=channels, depth=0).save(tmp_path / "bundle")
    images = random_images((96, 64), 2)
    expected = open_engine(tmp_path / "bundle", "torch").detect(images)
    assert len(expected[0])
    for engine in ("onnxruntime", "openvino"):
        assert_same_boxes(open_engine(tmp_path / "bundle", engine).detect(images), expected)


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.9, MAX_BOXES)])
def test_no_boxes_at_all_and_as_many_as_there_may_be(share: float, number: int, tmp_path: Path) -> None:
    """Of three classes each with fewer than MAX_BOXES, which together are more."""
    made = detector_of(get_network("googlenet_small"), share=share)
    if not share:
        made.model.classes.bias.data -= 20  # type: ignore[operator, union-attr]
    made.save(tmp_path / "bundle")
    images = random_images((96, 64), 3)
    expected = open_engine(tmp_path / "bundle", "torch").detect(images)
    assert [len(each) for each in expected] == [number] * 3
    for engine in ("onnxruntime", "openvino"):
        for count in (1, 3):
            assert_same_boxes(open_engine(tmp_path / "bundle", engine).detect(images[:count]), expected[:count])


def test_detectors_are_called_from_many_threads(detector: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    images = random_images((96, 64), 8)
    for engine in ("onnxruntime", "openvino"):
        opened = open_engine(detector, engine, streams=2)
        alone = opened.detect(images)
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda i, run=opened: run.detect(images[i : i + 1])[0], range(8)))
        assert_same_boxes(together, alone)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_detectors_do_not_classify_and_classifiers_find_no_boxes(engine: str, bundle: Path, detector: Path) -> None:
    with pytest.raises(EngineError, match="Cannot classify with a detector"):
        open_engine(detector, engine).run(random_images((96, 64), 1))
    with pytest.raises(EngineError, match="Cannot find boxes with a classifier"):
        open_engine(bundle, engine).detect(random_images(16, 1))


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_weights_that_are_no_numbers_are_not_taken_for_images_without_objects(engine: str, tmp_path: Path) -> None:
    made = detector_of(get_network("googlenet_small"))
    made.model.classes.bias.data[1] = torch.nan  # type: ignore[operator, union-attr]
    made.save(tmp_path / "bundle")
    with pytest.raises(NonFiniteOutputError):
        list(BoxPredictor(open_engine(tmp_path / "bundle", engine)).stream(random_images((96, 64), 1)))


def test_boxes_of_a_file_are_sorted_image_by_image() -> None:
    config = ClassifierConfig("none", default_preprocessing(16), [str(number) for number in range(120)])
    scores = np.array([0.2, 0.9, 0.5, 0.5, 0.1], np.float32)
    images, labels = np.array([2, 0, 2, 2, 2]), np.array([0, 1, 2, 3, 4])
    xyxy = np.arange(20, dtype=np.float32).reshape(5, 4)
    found = boxes_of_images(3, config, "a.onnx", xyxy, scores, labels, images)
    assert [each.labels.tolist() for each in found] == [[1], [], [2, 3, 0, 4]]
    assert found[0].xyxy.tolist() == [[4, 5, 6, 7]]
    scores, images = np.linspace(0, 1, 120, dtype=np.float32), np.zeros(120, np.int64)
    many = boxes_of_images(1, config, "a.onnx", np.zeros((120, 4), np.float32), scores, np.arange(120), images)
    assert many[0].labels.tolist() == list(range(119, 19, -1))


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
