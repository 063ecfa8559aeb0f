"""The metadata of exported files."""

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
    """The config in a file, and the precision for an engine; `names` are those of its inputs and outputs. Raises
    BundleError and EngineError."""
    if len(names) < 2 or not names[0] & {INPUT, INPUT_BEFORE} or PROBABILITIES not in names[1]:
        raise BundleError(
            f"{file} was not written by `inceptorch export`: it does not turn {INPUT} into {PROBABILITIES}."
        )
    values = values_of(texts, file)
    precision = checked_precision(precision, engine, str(values.get("precision", "fp32")))
    return ClassifierConfig.from_dict(values, file), precision


def values_of(texts: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The values of metadata in JSON. Raises BundleError."""
    if "label_names" not in texts:
        raise BundleError(f"{path} was not written by `inceptorch export`: it does not name its classes.")
    try:
        return {key: json.loads(value) for key, value in texts.items()}
    except (ValueError, RecursionError):
        raise BundleError(f"{path} has damaged metadata. Export it again.") from None


def checked_precision(precision: str | None, engine: str, made_for: str) -> str:
    """The precision for a file that was made for one. Raises EngineError."""
    if made_for == "int8":
        if precision not in (None, "int8"):
            raise EngineError(f"Cannot compute in {precision}: the file is in int8. Leave out the precision.")
        return "int8"
    if precision is None:
        return "fp32"
    if precision not in PRECISIONS[engine]:
        also = ", or export with --int8" if precision == "int8" else ""
        raise EngineError(f"{engine} cannot compute in {precision}. Try {' or '.join(PRECISIONS[engine])}{also}.")
    return precision
