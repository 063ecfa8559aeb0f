"""Forms of a classifier, and the engines that execute them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from inceptorch.errors import EngineError

ENGINES = ("onnxruntime", "openvino", "torch")  # by the time to the first prediction
PRECISIONS = {"openvino": ("fp32", "bf16"), "onnxruntime": ("fp32",), "torch": ("fp32", "bf16")}
# Default crops per call: on torch few enough for the cache; the others take single ones from several threads.
BATCH_SIZES = {"openvino": 1, "onnxruntime": 1, "torch": 8}
EXTRAS = {"openvino": "openvino", "onnxruntime": "", "torch": "train"}
IR = "model.xml"  # in the folder of `export --format openvino`


def is_exported(model: str | Path) -> bool:
    """Whether this is an exported file: FILE.onnx, or a folder with OpenVINO's model in it."""
    path = Path(model)
    if os.path.isfile(path / IR) or path.name == IR:  # Path.is_file would raise for a name that is too long
        return True
    return path.suffix == ".onnx" and not os.path.isdir(path)


def installed(path: Path) -> list[str]:
    """The installed engines that execute this form of a classifier."""
    return [engine for engine in ENGINES if refusal(engine, path) is None and find_spec(engine) is not None]


def require(engine: str, path: Path) -> None:
    """Raise EngineError unless an engine is installed and executes this form of a classifier."""
    why = refusal(engine, path)
    if why is not None:
        raise EngineError(why)
    if find_spec(engine) is None:
        raise EngineError(_not_installed(engine))


def refusal(engine: str, path: Path) -> str | None:
    """Why an engine cannot execute this form of a classifier; None if it can."""
    if engine == "torch" and is_exported(path):
        return f"{path} is an exported file, which torch does not execute. Name the bundle that it was exported from."
    if engine == "onnxruntime" and path.is_dir() and is_exported(path):
        return f"{path} is in OpenVINO's format. For ONNX Runtime, export with --format onnx."
    return None


def missing() -> list[str]:
    """A sentence for each engine that is not installed, with how to install it."""
    return [_not_installed(engine) for engine in ENGINES if find_spec(engine) is None]


def _not_installed(engine: str) -> str:
    package = f"'inceptorch[{EXTRAS[engine]}]'" if EXTRAS[engine] else engine
    return f"The engine {engine} is not installed. Install it with: pip install {package}"
