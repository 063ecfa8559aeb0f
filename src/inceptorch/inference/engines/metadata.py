"""What an exported file says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.errors import BundleError, EngineError
from inceptorch.inference.engines.formats import PRECISIONS
from inceptorch.networks.onnx_graph import INPUT, INPUT_BEFORE, PROBABILITIES


def read_metadata(
    names: list[set[str]], texts: Mapping[str, str], file: str | Path, engine: str, precision: str | None
) -> tuple[ClassifierConfig, str]:
    """The config that a file holds, and the precision to compute it in with an engine. `names` are those of its inputs and
    outputs. Raises BundleError and EngineError."""
    if len(names) < 2 or not names[0] & {INPUT, INPUT_BEFORE} or PROBABILITIES not in names[1]:
        raise BundleError(
            f"{file} is no file that `inceptorch export` made: it does not turn {INPUT} into {PROBABILITIES}."
        )
    values = values_of(texts, file)
    precision = checked_precision(precision, engine, str(values.get("precision", "fp32")))
    return ClassifierConfig.from_dict(values, file), precision


def values_of(texts: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """Metadata, in which each value is JSON, as values. Raises BundleError."""
    if "label_names" not in texts:
        raise BundleError(f"{path} is no file that `inceptorch export` made: it does not say what its classes are.")
    try:
        return {key: json.loads(value) for key, value in texts.items()}
    except (ValueError, RecursionError):
        raise BundleError(f"{path} has damaged metadata; export it again.") from None


def checked_precision(precision: str | None, engine: str, made_for: str) -> str:
    """The precision to compute in, of a file that was made for one. Raises EngineError."""
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
