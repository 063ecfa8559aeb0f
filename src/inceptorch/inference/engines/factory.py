"""Open a classifier of any form with an engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import WEIGHTS, read_config
from inceptorch.classifier.hub import resolve_weights
from inceptorch.errors import BundleError, EngineError, did_you_mean
from inceptorch.inference.engines.base import Engine
from inceptorch.inference.engines.formats import ENGINES, IR, PRECISIONS, installed, is_exported, require
from inceptorch.inference.engines.metadata import checked_precision, values_of
from inceptorch.inference.engines.selection import saved_choice
from inceptorch.utils.tensors import read_arrays


def open_engine(
    model: Classifier | Engine | str | Path,
    engine: str = "auto",
    precision: str | None = None,
    *,
    threads: int | None = None,
    streams: int | None = None,
    batch_size: int | None = None,
) -> Engine:
    """Open an engine for a classifier.

    model       a bundle, a run, published weights by name, FILE.onnx, a folder of `export --format openvino`, or a
                classifier for torch; an engine is returned as it is
    engine      "torch", "onnxruntime" or "openvino"; "auto": the fastest that was measured here, else torch for a
                bundle, and onnxruntime or openvino for an exported file
    precision   "fp32" or "bf16"; by default fp32, int8 for such a file, and as measured for auto
    threads     in all; by default as many as processors
    streams     concurrent calls
    batch_size  images per call

    Raises BundleError if the file is missing or damaged, and EngineError if the engine is missing or unable.
    """
    if isinstance(model, Engine):
        return model
    if isinstance(model, Classifier):
        from inceptorch.inference.engines.torch import Torch

        if engine not in ("auto", "torch"):
            raise EngineError(
                f"Cannot execute a classifier in memory with {engine}, only with torch. Save or export it."
            )
        return Torch(model, checked_precision(precision, "torch", "fp32"), batch_size=batch_size)
    path = find(model)
    if engine == "auto":
        chosen = saved_choice(path, precision)
        engine, precision, batch_size = chosen.engine, chosen.precision, batch_size or chosen.batch_size
        if streams is None and chosen.streams is not None:
            streams = min(chosen.streams, threads or chosen.streams)
    elif engine not in ENGINES:
        raise EngineError(f"There is no engine {engine!r}: {did_you_mean(engine, ENGINES)}")
    require(engine, path)
    if engine == "torch":
        return _torch(path, precision, threads, batch_size)
    source: bytes | Path = path
    if not is_exported(path):
        source = graph_of(path)
    elif path.is_dir():
        source = path / IR
    return open_graph(source, path, engine, precision, threads=threads, streams=streams, batch_size=batch_size)


def open_graph(
    source: bytes | Path, name: str | Path, engine: str, precision: str | None = None, **sizes: int | None
) -> Engine:
    """Open an exported file, or the bytes of an ONNX graph; errors call it `name`. `sizes` are threads, streams and
    batch_size, as for `open_engine`."""
    with _utf8_names(name):
        if engine == "openvino":
            from inceptorch.inference.engines.openvino import OpenVino

            return OpenVino(source, name, precision, **sizes)
        from inceptorch.inference.engines.onnxruntime import OnnxRuntime

        return OnnxRuntime(source, name, precision, **sizes)


@contextmanager
def _utf8_names(file: str | Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise BundleError(
            f"Cannot use {file}: it is damaged, as it has names that are not UTF-8. Export it again."
        ) from None


def available(model: str | Path) -> list[tuple[str, str]]:
    """Engines with precisions that can execute a classifier here."""
    path = find(model)
    engines = installed(path)
    if is_exported(path) and precision_of(path) == "int8":
        return [(engine, "int8") for engine in engines]
    return [(engine, precision) for engine in engines for precision in PRECISIONS[engine]]


def precision_of(path: Path) -> str:
    """The precision of an exported file, "int8" or "fp32"."""
    return str(exported_metadata(path).get("precision", "fp32"))


def exported_metadata(path: Path) -> dict[str, Any]:
    """The metadata of an exported file: the values of `config.json`, and its "precision"."""
    with _utf8_names(path):
        if not os.path.isdir(path):
            from inceptorch.inference.engines.onnxruntime import metadata_of

            return values_of(metadata_of(path), path)
        from inceptorch.inference.engines.openvino import metadata, read_model

        return values_of(metadata(read_model(path / IR)), path)


def find(model: str | Path) -> Path:
    """The exported file or folder, or the folder of the bundle."""
    path = Path(model)
    if path.name == IR:
        path = path.parent
    if path.suffix == ".onnx" and not os.path.isdir(path):
        if not os.path.isfile(path):
            raise BundleError(f"Cannot open {path}: it does not exist. Try: inceptorch export MODEL --out {path}")
        return path
    return path if is_exported(path) else resolve_weights(model)


def _torch(path: Path, precision: str | None, threads: int | None, batch_size: int | None) -> Engine:
    import torch

    from inceptorch.classifier.hub import load
    from inceptorch.inference.engines.torch import Torch

    if threads is not None:
        torch.set_num_threads(threads)
    return Torch(load(path), checked_precision(precision, "torch", "fp32"), batch_size=batch_size)


def graph_of(folder: Path) -> bytes:
    """The ONNX graph of a bundle, made without torch. Raises BundleError."""
    from inceptorch.networks.onnx_detector import detector_graph
    from inceptorch.networks.onnx_graph import graph

    config = read_config(folder)
    tensors = read_arrays(folder / WEIGHTS)
    config.check_tensors(tensors, folder)
    net, pixels, classes, values = config.network, config.preprocessing, len(config.classes), config.to_dict()
    if config.detection is None:
        model = graph(net, pixels, classes, tensors, values)
    else:
        model = detector_graph(net, config.detection, pixels, classes, tensors, values)
    return bytes(model.SerializeToString())
