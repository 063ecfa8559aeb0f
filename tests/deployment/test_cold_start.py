"""A classifier in a fresh process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inceptorch.deployment.cold_start import cold_start
from inceptorch.errors import EngineError
from inceptorch.inference.engines.factory import graph_of


def test_memory_is_that_of_the_process_alone(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(graph_of(bundle))
    mine = np.ones(100_000_000)  # 763 MiB, which getrusage would count for a process started from here
    fresh = cold_start(file, "onnxruntime", "fp32", 1, 2)
    assert mine[-1] == 1
    assert fresh.memory_mib is None or 20 < fresh.memory_mib < 400


def test_a_detector_starts_too(detector: Path) -> None:
    assert cold_start(detector, "onnxruntime", "fp32", 1, 1).seconds > 0


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="no ONNX file that ONNX Runtime can execute"):
        cold_start(tmp_path / "a.onnx", "onnxruntime", "fp32", 1, 1)
