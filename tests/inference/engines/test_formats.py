"""Which engine executes which form of a classifier."""

from pathlib import Path

import pytest

from inceptorch.errors import EngineError
from inceptorch.inference.engines.formats import installed, is_exported, require


def test_exported_files_are_known_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "model.xml").touch()
    (tmp_path / "folder.onnx").mkdir()
    assert [is_exported(tmp_path / name) for name in ("a.onnx", "openvino", "folder.onnx", "run")] == [1, 1, 0, 0]


def test_torch_executes_no_exported_file_and_onnxruntime_no_openvino(tmp_path: Path) -> None:
    (tmp_path / "model.xml").touch()
    assert installed(tmp_path) == ["openvino"]
    assert installed(Path("a.onnx")) == ["onnxruntime", "openvino"]
    with pytest.raises(EngineError, match="torch does not execute"):
        require("torch", Path("a.onnx"))
    with pytest.raises(EngineError, match="export with --format onnx"):
        require("onnxruntime", tmp_path)
