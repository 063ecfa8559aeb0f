"""Opening a classifier with an engine, whatever form it is kept in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inceptorch.classifier.classifier import CONFIG, WEIGHTS, describe, read_config
from inceptorch.classifier.hub import folder_of
from inceptorch.errors import BundleError, EngineError, did_you_mean
from inceptorch.inference.engines.base import Engine
from inceptorch.networks.onnx_graph import INPUT, PROBABILITIES

ENGINES = ("onnxruntime", "openvino", "torch")  # by how soon they give a first answer
PRECISIONS = {"openvino": ("fp32", "bf16"), "onnxruntime": ("fp32",), "torch": ("fp32", "bf16")}
IR = "model.xml"  # in the folder that `export --format openvino` makes
EXTRA = {"openvino": "openvino", "onnxruntime": "", "torch": "train"}


def is_exported(model: str | Path) -> bool:
    """Whether MODEL is an exported file, which needs no torch: FILE.onnx, or a folder with OpenVINO's model in it."""
    path = Path(model)
    if os.path.isfile(path / IR) or path.name == IR:  # Path.is_file would raise for a name that is too long
        return True
    return path.suffix == ".onnx" and not os.path.isdir(path)


def open_engine(
    model: str | Path,
    engine: str = "auto",
    precision: str | None = None,
    *,
    threads: int | None = None,
    streams: int | None = None,
    batch: int | None = None,
) -> Engine:
    """Open a classifier to be executed.

    model      a bundle, a run, published weights by name, FILE.onnx, or the folder of `export --format openvino`
    engine     "torch", "onnxruntime" or "openvino"; "auto": what was fastest when it was measured here, else of an
               exported file the first of onnxruntime and openvino that executes it, of a bundle torch
    precision  "fp32" or "bf16"; None: fp32, or as a file of 8 bits has it; for auto, as it was measured
    threads    in all; None: as many as there are processors
    streams    calls that are computed at once
    batch      how many pictures are best given together

    Raises BundleError if the file is missing or damaged, and EngineError if the engine is not installed or cannot do
    what is asked.
    """
    path = find(model)
    if engine == "auto":
        from inceptorch.inference.engines.selection import remembered

        chosen = remembered(path, precision)
        engine, precision, batch = chosen.engine, chosen.precision, batch or chosen.batch
        if streams is None and chosen.streams is not None:
            streams = min(chosen.streams, threads or chosen.streams)
    elif engine not in ENGINES:
        raise EngineError(f"There is no engine {engine!r}: {did_you_mean(engine, ENGINES)}")
    _require(engine, path)
    if engine == "torch":
        return _torch(path, precision, threads, batch)
    source: bytes | Path = path
    if not is_exported(path):
        source = graph_of(path)
    elif path.is_dir():
        source = path / IR
    return open_graph(source, path, engine, precision, threads=threads, streams=streams, batch=batch)


def open_graph(
    source: bytes | Path,
    name: str | Path,
    engine: str,
    precision: str | None = None,
    *,
    threads: int | None = None,
    streams: int | None = None,
    batch: int | None = None,
) -> Engine:
    """Open an exported file, or the bytes of an ONNX graph, with "onnxruntime" or "openvino"; as `open_engine`. `name` is
    what sentences call it."""
    if engine == "openvino":
        from inceptorch.inference.engines.openvino import OpenVino, metadata, read_model

        model = read_model(source)
        _require_tensors([port.names for port in (*model.inputs, *model.outputs)], name)
        values = _values(metadata(model), name)
        precision = _checked(precision, engine, str(values.get("precision", "fp32")))
        about = describe(values, name)
        return OpenVino(model, source, about, precision, threads=threads, streams=streams, batch=batch or 1)
    from inceptorch.inference.engines.onnxruntime import OnnxRuntime, session_of

    session, at_once = session_of(source, threads, streams)
    _require_tensors([{tensor.name} for tensor in (*session.get_inputs(), *session.get_outputs())], name)
    values = _values(session.get_modelmeta().custom_metadata_map, name)
    precision = _checked(precision, engine, str(values.get("precision", "fp32")))
    return OnnxRuntime(session, source, describe(values, name), precision, streams=at_once, batch=batch or 1)


def _require_tensors(names: list[set[str]], file: str | Path) -> None:
    """Raise BundleError unless the first inputs and outputs, each by all its names, are those of an exported file."""
    if len(names) < 2 or INPUT not in names[0] or PROBABILITIES not in names[1]:
        raise BundleError(
            f"{file} is no file that `inceptorch export` made: it does not turn {INPUT} into {PROBABILITIES}."
        )


def available(model: str | Path) -> list[tuple[str, str]]:
    """The engines, each with its precisions, that can execute a classifier here."""
    path = find(model)
    engines = installed(path)
    if is_exported(path) and precision_of(path) == "int8":
        return [(engine, "int8") for engine in engines]
    return [(engine, precision) for engine in engines for precision in PRECISIONS[engine]]


def installed(path: Path) -> list[str]:
    """The engines that are installed and execute this form of a classifier."""
    return [engine for engine in ENGINES if _refusal(engine, path) is None and find_spec(engine) is not None]


def precision_of(path: Path) -> str:
    """What an exported file was made for: "int8" or "fp32"."""
    return str(exported_metadata(path).get("precision", "fp32"))


def exported_metadata(path: Path) -> dict[str, Any]:
    """What an exported file says of itself: the values of `config.json`, and its "precision"."""
    if not os.path.isdir(path):
        from inceptorch.inference.engines.onnxruntime import metadata_of

        return _values(metadata_of(path), path)
    from inceptorch.inference.engines.openvino import metadata, read_model

    return _values(metadata(read_model(path / IR)), path)


def find(model: str | Path) -> Path:
    """The exported file or folder, or the folder of the bundle."""
    path = Path(model)
    if path.name == IR:
        path = path.parent
    if path.suffix == ".onnx" and not os.path.isdir(path):
        if not os.path.isfile(path):
            raise BundleError(f"{path} does not exist; make it with: inceptorch export MODEL --out {path}")
        return path
    return path if is_exported(path) else folder_of(model)


def _refusal(engine: str, path: Path) -> str | None:
    """Why an engine cannot execute this form of a classifier; None if it can."""
    if engine == "torch" and is_exported(path):
        return f"{path} is an exported file, which torch does not execute; name the bundle that it was made of."
    if engine == "onnxruntime" and path.is_dir() and is_exported(path):
        return f"{path} is in OpenVINO's format; for ONNX Runtime, export with --format onnx."
    return None


def _require(engine: str, path: Path) -> None:
    refusal = _refusal(engine, path)
    if refusal is not None:
        raise EngineError(refusal)
    if find_spec(engine) is None:
        raise EngineError(_not_installed(engine))


def missing() -> list[str]:
    """For each engine that is not installed, a sentence that says so and how to install it."""
    return [_not_installed(engine) for engine in ENGINES if find_spec(engine) is None]


def _not_installed(engine: str) -> str:
    extra = EXTRA[engine]
    what = f"'inceptorch[{extra}]'" if extra else engine
    return f"The engine {engine} is not installed; install it with: pip install {what}"


def _torch(path: Path, precision: str | None, threads: int | None, batch: int | None) -> Engine:
    import torch

    from inceptorch.classifier.classifier import load
    from inceptorch.inference.engines.torch import Torch

    if threads is not None:
        torch.set_num_threads(threads)
    return Torch(load(path), _checked(precision, "torch", "fp32"), batch=batch or 8)


def graph_of(folder: Path) -> bytes:
    """The ONNX graph of a bundle, made without torch. Raises BundleError."""
    from inceptorch.networks.onnx_graph import graph

    config = read_config(folder)
    description = describe(config, folder / CONFIG)
    tensors = _arrays(folder / WEIGHTS)
    try:
        made = graph(description.net, description.pixels, len(description.classes), tensors, config)
    except KeyError as error:
        raise BundleError(
            f"{folder / WEIGHTS} does not fit the network it is said to be: it has no {error.args[0]}."
        ) from None
    written: bytes = made.SerializeToString()
    return written


def _arrays(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise BundleError(f"{path} does not exist.") from None
    except (OSError, SafetensorError, ValueError):
        raise BundleError(f"{path} is not a safetensors file, or is damaged.") from None


def _values(texts: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """Metadata, in which each value is JSON, as values. Raises BundleError."""
    if "label_names" not in texts:
        raise BundleError(f"{path} is no file that `inceptorch export` made: it does not say what its classes are.")
    try:
        return {key: json.loads(value) for key, value in texts.items()}
    except (ValueError, RecursionError):
        raise BundleError(f"{path} has damaged metadata; export it again.") from None


def _checked(precision: str | None, engine: str, made_for: str) -> str:
    """The precision to compute in."""
    if made_for == "int8":
        if precision not in (None, "int8"):
            raise EngineError(f"The file holds 8-bit numbers, so it is computed in int8, not in {precision}.")
        return "int8"
    if precision is None:
        return "fp32"
    if precision not in PRECISIONS[engine]:
        also = " (export --int8 makes a file for it)" if precision == "int8" else ""
        raise EngineError(f"{engine} computes in {' or '.join(PRECISIONS[engine])} here, not in {precision}{also}.")
    return precision
