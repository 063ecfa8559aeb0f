"""The fastest engine is remembered."""

import os
from pathlib import Path

from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.selection import EngineChoice, save_choices, saved_choice
from inceptorch.utils.progress import Progress


def test_the_fastest_is_remembered(bundle: Path) -> None:
    assert saved_choice(bundle).engine == "torch"
    ways = [
        EngineChoice("openvino", "bf16", 2, 4, 30.0),
        EngineChoice("onnxruntime", "fp32", 2, 1, 20.0),
        EngineChoice("torch", "fp32", 1, 8, 10.0),
    ]
    save_choices(bundle, ways, Progress(quiet=True))
    assert saved_choice(bundle) == ways[0]
    opened = open_engine(bundle)
    assert (opened.name, opened.precision, opened.batch_size) == (ways[0].engine, ways[0].precision, ways[0].batch_size)
    assert opened.max_concurrency == 2
    assert open_engine(bundle, threads=1).max_concurrency == 1
    assert saved_choice(bundle, "fp32") == ways[1]
    os.utime(bundle / "model.safetensors", (1, 1))
    assert saved_choice(bundle).engine == "torch"  # other weights, perhaps
