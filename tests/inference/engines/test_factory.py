"""Which engine opens what."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import inceptorch
from inceptorch.errors import BundleError, EngineError
from inceptorch.inference.engines import available, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.engines.timing import random_images


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
