"""Which engine opens what."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, EngineError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import available, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.engines.timing import random_images
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec


def test_what_is_there_and_what_is_not(bundle: Path) -> None:
    assert ("onnxruntime", "fp32") in available(bundle)
    with pytest.raises(EngineError, match="did you mean 'openvino'"):
        open_engine(bundle, "openvinno")
    with pytest.raises(EngineError, match="onnxruntime cannot compute in bf16"):
        open_engine(bundle, "onnxruntime", "bf16")
    with pytest.raises(EngineError, match="or export with --int8"):
        open_engine(bundle, "openvino", "int8")


def test_weights_that_do_not_fit(bundle: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(bundle / "model.safetensors")
    del tensors["head.linear.bias"]
    save_file(tensors, bundle / "model.safetensors")
    with pytest.raises(BundleError, match=r"it has no head\.linear\.bias"):
        open_engine(bundle, "onnxruntime")


def table(bundle: Path, layer: str, values: Any) -> None:
    """Change a layer of the table in a bundle's config; None deletes it."""
    config = json.loads((bundle / "config.json").read_text())
    config["network"]["body"][layer] = values
    (bundle / "config.json").write_text(json.dumps(config))


def tensors(bundle: Path, **changes: Any) -> None:
    from safetensors.numpy import load_file, save_file

    given = load_file(bundle / "model.safetensors") | changes
    save_file(given, bundle / "model.safetensors")


def labels(bundle: Path, count: int) -> None:
    config = json.loads((bundle / "config.json").read_text())
    names = [f"{number}" for number in range(count)]
    (bundle / "config.json").write_text(json.dumps({**config, "num_classes": count, "label_names": names}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda path: table(path, "conv1", {"conv": 100_000_000_000, "kernel": 3}),
            "its weights would take 11600.0 GB",
        ),
        (lambda path: table(path, "conv1", {"conv": 16, "kernel": 3, "stride": 2}), r"is \[8, 3, 3, 3\], not \[16, 3"),
        (lambda path: table(path, "conv1", {"conv": 8, "kernel": 5, "stride": 2}), r"not \[8, 3, 5, 5\]"),
        (lambda path: table(path, "forward", {"conv": 8}), "a layer cannot be called 'forward'"),
        (lambda path: table(path, "__class__", {"conv": 8}), "a layer cannot be called '__class__'"),
        (lambda path: table(path, "last", {"conv": 28}), "it has no body.last.conv.weight"),
        (lambda path: table(path, "last", [{"pool": "max"}] * 20_000), "layers; at most 10,000 are built"),
        (lambda path: tensors(path, more=np.zeros(1, np.float32)), "it also has more"),
        (lambda path: tensors(path, **{"head.linear.bias": np.zeros(7, np.int64)}), "head.linear.bias holds int64"),
        (lambda path: labels(path, 3_000_000), r"head.linear.weight is \[7, 16\], not \[3000000, 16\]"),
    ],
)
def test_engines_refuse_the_same_bundles_alike(change: Callable[[Path], None], sentence: str, bundle: Path) -> None:
    change(bundle)
    said = set()
    for engine in ("torch", "onnxruntime", "openvino"):
        with pytest.raises(BundleError, match=sentence) as caught:
            open_engine(bundle, engine)
        said.add(str(caught.value))
    assert len(said) == 1


def test_auxiliary_heads_are_looked_at_by_all(tiny: NetworkSpec, tmp_path: Path) -> None:
    Classifier.of(Model(tiny, 3, aux=True), default_preprocessing(16), list("abc"), aux_heads=True).save(tmp_path / "b")
    for engine in ("torch", "onnxruntime"):
        open_engine(tmp_path / "b", engine)
    tensors(tmp_path / "b", **{"aux.mix.fc.linear.bias": np.zeros(9, np.float32)})
    for engine in ("torch", "onnxruntime"):
        with pytest.raises(BundleError, match=r"aux.mix.fc.linear.bias is \[9\], not \[8\]"):
            open_engine(tmp_path / "b", engine)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_pipes_and_devices_in_a_bundle_are_not_opened(name: str, engine: str, bundle: Path) -> None:
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(BundleError, match=f"{name} is a pipe or a device"):
        open_engine(bundle, engine)
    (bundle / name).unlink()
    (bundle / name).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=f"{name} is a pipe or a device"):
        open_engine(bundle, engine)


def test_an_exported_file_answers_without_torch(bundle: Path, tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(bundle))
    image = tmp_path / "image.png"
    Image.fromarray(random_images(40, 1)[0]).save(image)
    script = (
        "import sys; from inceptorch.cli import main\n"
        "try: main()\n"
        "finally: print(any(name.split('.')[0] in ('torch', 'torchvision') for name in sys.modules), file=sys.stderr)"
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
