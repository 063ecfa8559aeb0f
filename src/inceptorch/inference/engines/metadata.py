"""The metadata of exported files, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.errors import BundleError, EngineError
from inceptorch.inference.engines.formats import IR, PRECISIONS
from inceptorch.networks.detection import EDGES
from inceptorch.networks.onnx_detector import BOXES, OUTPUTS
from inceptorch.networks.onnx_graph import INPUT, INPUT_BEFORE, MAP_CLASSES, MAPS, MAX_MAPS, PROBABILITIES
from inceptorch.utils.files import reading, require_regular, write_text
from inceptorch.utils.tensors import HASH

# The beginning of the metadata "sha256" with 64 digits in quotes: field 14 of a model, whose fields 1 and 2 follow.
HASH_FIELD = b'\x72\x4c\x0a\x06sha256\x12\x42"'
SUMS = "SHA256SUMS"
# Names of the inputs and outputs, of which a classifier without activation maps has two.
_KNOWN = ({INPUT, INPUT_BEFORE}, {PROBABILITIES}, {MAPS}, {MAP_CLASSES})
_KNOWN_DETECTOR = ({INPUT}, *({name} for name in OUTPUTS))
Port = tuple[Collection[str], Sequence[Any]]  # names and shape of an input or output; other than int where it is free


def read_metadata(
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    texts: Mapping[str, str],
    file: str | Path,
    engine: str,
    precision: str | None,
) -> tuple[ClassifierConfig, str]:
    """The config in a file, and the precision for an engine. Raises EngineError, and BundleError where the config and
    the inputs and outputs contradict each other."""
    ports = [*inputs, *outputs]
    known = _KNOWN_DETECTOR if len(outputs) == len(OUTPUTS) else _KNOWN
    counts = {len(known), 2} if known is _KNOWN else {len(known)}
    if (
        len(inputs) != 1
        or len(ports) not in counts
        or any(names.isdisjoint(port[0]) for names, port in zip(known, ports, strict=False))
    ):
        raise BundleError(
            f"{file} was not written by `inceptorch export`: it does not turn {INPUT} into {PROBABILITIES} or {BOXES}."
        )
    values = values_of(texts, file)
    precision = checked_precision(precision, engine, str(values.get("precision", "fp32")))
    config = ClassifierConfig.from_dict(values, file)
    if (config.detection is None) is (known is _KNOWN_DETECTOR):
        what, output = ("a classifier", BOXES) if config.detection is None else ("a detector", PROBABILITIES)
        raise BundleError(
            f"{file} contradicts itself: its metadata is of {what}, its output {output}. Export it again."
        )
    (width, height), classes = config.input_size, len(config.classes)
    expected: Sequence[list[int]] = ([3, height, width], [classes], *[[min(MAX_MAPS, classes)]] * 2)
    if config.detection is not None:
        expected = ([3, height, width], [EDGES], [], [], [])
    size = f"{width} pixels" if config.detection is None else f"{width}x{height} pixels"
    for (_, shape), sides, names in zip(ports, expected, known, strict=False):
        if list(shape[1 : 1 + len(sides)]) != sides:
            raise BundleError(
                f"{file} contradicts itself: its {max(names, key=len)} are {list(shape)}, while its metadata names "
                f"{classes} classes and images of {size}. Export it again."
            )
    return config, precision


def with_hash(graph: bytes) -> bytes:
    """An ONNX file whose last metadata is the hash of all bytes before it, as fields can be appended to a message."""
    return graph + HASH_FIELD + hashlib.sha256(graph).hexdigest().encode() + b'"'


def write_hashes(folder: Path) -> None:
    """Write the hashes of OpenVINO's two files beside them, as `sha256sum --check` reads them."""
    write_text(folder / SUMS, "".join(_sum(file) + "\n" for file in _ir_files(folder)))


def check_hash(file: Path) -> None:
    """Raise BundleError if a file is not the one that was exported; without a hash it is taken as it is."""
    require_regular(file, BundleError)
    with reading(file, BundleError):
        if file.name == IR:
            sums = file.with_name(SUMS)
            known = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else None
            whole = known is None or [_sum(each) for each in _ir_files(file.parent)] == known
        else:
            content = file.read_bytes()
            end = len(content) - len(HASH_FIELD) - 65
            whole = content[end : end + len(HASH_FIELD)] != HASH_FIELD or with_hash(content[:end]) == content
    if not whole:
        raise BundleError(
            f"Cannot use {file}: it is damaged, or not the file that was exported. Copy or export it again."
        )


def _ir_files(folder: Path) -> tuple[Path, Path]:
    return folder / IR, (folder / IR).with_suffix(".bin")


def _sum(file: Path) -> str:
    require_regular(file, BundleError)
    return f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"


def values_of(texts: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The values of metadata in JSON. Raises BundleError."""
    if "label_names" not in texts:
        raise BundleError(f"{path} was not written by `inceptorch export`: it does not name its classes.")
    try:
        return {key: json.loads(value) for key, value in texts.items() if key != HASH}
    except (ValueError, RecursionError):
        raise BundleError(f"Cannot use {path}: its metadata is damaged. Export it again.") from None


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
