"""Engines: every network's graph against torch, files that are opened, and the choice among engines."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import inceptorch
from inceptorch.errors import BundleError, EngineError
from inceptorch.inference.engines import Engine, available, fingerprint, open_engine
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.selection import EngineChoice, remember, remembered
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.complexity import min_size
from inceptorch.networks.layers import LRN, Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_graph import pooled_layer
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.conftest import TINY
from tests.helpers import classifier_of


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def differences(engine: Engine, other: Engine, crops: NDArray[np.uint8]) -> tuple[float, float]:
    """Of probabilities, and of maps in parts of their largest value."""
    a, b = engine.run(crops, maps=True), other.run(crops, maps=True)
    apart = float(np.abs(a.probabilities - b.probabilities).max())
    if a.maps is None or b.maps is None:
        assert a.maps is b.maps
        return apart, 0.0
    assert a.map_classes is not None
    np.testing.assert_array_equal(a.map_classes, b.map_classes)
    return apart, float(np.abs(a.maps - b.maps).max() / np.abs(a.maps).max())


# Of every line and with every word of the vocabulary: grouped, separable and rectangular windows, all paddings and averages,
# both normalisations, residual modules, fully connected heads.
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


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_channels_and_numbers_of_images(tiny: NetworkSpec, channels: str, engine: str, tmp_path: Path) -> None:
    classifier_of(tiny, channels=channels).save(tmp_path / "bundle")
    ours, theirs = (open_engine(tmp_path / "bundle", each) for each in ("torch", engine))
    for count in (1, 2, 7, 32):
        probability, maps = differences(ours, theirs, random_images(16, count))
        assert probability < 1e-5
        assert maps < 1e-4


@pytest.mark.parametrize("name", ["googlenet_small", "inception_v3_small"])
def test_openvino_in_fp32_and_bf16(name: str, tmp_path: Path) -> None:
    classifier_of(get_network(name), size=32).save(tmp_path / "bundle")
    ours = open_engine(tmp_path / "bundle", "torch")
    crops = random_images(32, 3)
    probability, maps = differences(ours, open_engine(tmp_path / "bundle", "openvino", "fp32"), crops)
    assert probability < 1e-5
    assert maps < 1e-4
    rough = open_engine(tmp_path / "bundle", "openvino", "bf16").run(crops, maps=True).probabilities
    assert np.abs(rough - ours.run(crops, maps=True).probabilities).max() < 0.05


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


def test_first_calls_from_many_threads_at_once(bundle: Path) -> None:
    """OpenVINO's binding sets itself up in its first call, and threads that made it together waited for ever."""
    script = """
import sys, threading
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images
opened = open_engine(sys.argv[1], "openvino", streams=2)
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)
def first():
    together.wait()
    opened.logits(random_images(opened.config.preprocessing.size, 1))
threads = [threading.Thread(target=first) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script, bundle], check=True, timeout=60)


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


def test_what_is_there_and_what_is_not(bundle: Path) -> None:
    assert ("onnxruntime", "fp32") in available(bundle)
    with pytest.raises(EngineError, match="did you mean 'openvino'"):
        open_engine(bundle, "openvinno")
    with pytest.raises(EngineError, match="onnxruntime computes in fp32 here, not in bf16"):
        open_engine(bundle, "onnxruntime", "bf16")
    with pytest.raises(EngineError, match="export --int8 makes a file for it"):
        open_engine(bundle, "openvino", "int8")


def test_damaged_and_foreign_files(bundle: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(graph_of(bundle)[:5000])
    foreign = tmp_path / "foreign.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    made = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    ])  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, foreign)
    disguised = tmp_path / "disguised.onnx"
    ours = onnx.load_from_string(graph_of(bundle))
    helper.set_model_props(model, {each.key: each.value for each in ours.metadata_props})
    onnx.save(model, disguised)
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(BundleError, match=r"damaged\.onnx"):
            open_engine(damaged, engine)
        with pytest.raises(BundleError, match="is no file that `inceptorch export` made"):
            open_engine(foreign, engine)
        with pytest.raises(BundleError, match="it does not turn images into probabilities"):
            open_engine(disguised, engine)
    with pytest.raises(BundleError, match="does not exist"):
        open_engine(tmp_path / "nothing.onnx")


def test_weights_that_do_not_fit(bundle: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(bundle / "model.safetensors")
    del tensors["head.linear.bias"]
    save_file(tensors, bundle / "model.safetensors")
    with pytest.raises(BundleError, match=r"it has no head\.linear\.bias"):
        open_engine(bundle, "onnxruntime")


def test_the_fastest_is_remembered(bundle: Path) -> None:
    assert remembered(bundle).engine == "torch"
    ways = [
        EngineChoice("openvino", "bf16", 2, 4, 30.0),
        EngineChoice("onnxruntime", "fp32", 2, 1, 20.0),
        EngineChoice("torch", "fp32", 1, 8, 10.0),
    ]
    remember(bundle, ways, Progress(quiet=True))
    assert remembered(bundle) == ways[0]
    opened = open_engine(bundle)
    assert (opened.name, opened.precision, opened.batch_size) == (ways[0].engine, ways[0].precision, ways[0].batch_size)
    assert opened.max_concurrency == 2
    assert open_engine(bundle, threads=1).max_concurrency == 1
    assert remembered(bundle, "fp32") == ways[1]
    os.utime(bundle / "model.safetensors", (1, 1))
    assert remembered(bundle).engine == "torch"  # other weights, perhaps


def test_signals_come_when_engines_are_gone(bundle: Path) -> None:
    """OpenVINO's own setting up and taking down of stacks for signals made SIGSEGV of them."""
    script = """
import gc, signal, sys
from inceptorch.inference.engines import open_engine
opened = [open_engine(sys.argv[1], "openvino") for _ in range(3)]
while opened:
    del opened[0]
    gc.collect()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
signal.raise_signal(signal.SIGTERM)
print(len(heard))
"""
    done = subprocess.run([sys.executable, "-c", script, bundle], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_identity_tells_weights_and_precision_apart(bundle: Path, tmp_path: Path) -> None:
    graph = graph_of(bundle)
    file = tmp_path / "a.onnx"
    file.write_bytes(graph)
    one, same = open_graph(graph, "g", "openvino"), open_engine(file, "onnxruntime")
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(open_graph(graph, "g", "openvino", "bf16"))
    other = classifier_of(TINY, classes=6)
    other.save(tmp_path / "other")
    assert fingerprint(open_engine(tmp_path / "other", "torch")) != fingerprint(open_engine(bundle, "torch"))


def test_an_exported_file_answers_without_torch(bundle: Path, tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(bundle))
    image = tmp_path / "image.png"
    Image.fromarray(random_images(40, 1)[0]).save(image)
    script = (
        "import sys; from inceptorch.cli import main\n"
        "try: main()\n"
        "finally: print(any(name.partition('.')[0] in ('torch', 'torchvision') for name in sys.modules), file=sys.stderr)"
    )
    words = [sys.executable, "-c", script, "predict", str(file), str(image), "--json", "--engine"]
    expected = inceptorch.load(bundle).predict(str(image))
    for engine in ("onnxruntime", "openvino"):
        done = subprocess.run([*words, engine], check=True, capture_output=True, text=True)
        assert done.stderr.strip() == "False"
        (entry,) = json.loads(done.stdout)
        assert [one["label"] for one in entry["predictions"]] == [one["label"] for one in expected]
        found = [one["probability"] for one in entry["predictions"]]
        np.testing.assert_allclose(found, [one["probability"] for one in expected], atol=1e-5)
