"""Embeddings: the features of images by any layer, in a file that other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.data.locator import absolute, ensure_outside
from inceptorch.data.resolve import open_splits
from inceptorch.data.split import Split
from inceptorch.data.verify import Skipped
from inceptorch.errors import BundleError, DataError, RunError
from inceptorch.features.extract import Extraction, extract, with_features
from inceptorch.features.extractors import TorchExtractor, open_extractor
from inceptorch.features.inputs import open_images
from inceptorch.features.store import ROWS, Features
from inceptorch.images.decode import RGBArray
from inceptorch.inference.engines.fingerprint import classifier_fingerprint
from inceptorch.utils.files import atomic_write, reading, require_writable, write_text
from inceptorch.utils.progress import Progress

SUFFIXES = (".parquet", ".npy")
ABOUT = "inceptorch"  # the key of Parquet's metadata
LABELED = "file,label\n"


@dataclass
class Embeddings:
    """Embeddings of images.

    files    their names
    labels   of each, None where not known
    about    how they were made: model, weights (a hash), network, layer, dim
    load     reads float32 [N, dim]; `vectors` holds what it read
    skipped  images that could not be read and are left out
    """

    files: list[str]
    labels: list[str | None]
    about: dict[str, Any]
    load: Callable[[], NDArray[np.float32]]
    skipped: list[Skipped] = field(default_factory=list)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        return self.load()

    def __len__(self) -> int:
        return len(self.files)


def embed(
    model: str | Path | Classifier,
    data: str | Path,
    *,
    out: str | Path | None = None,
    layer: str | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Embeddings:
    """The embedding of every image: what the classifier's linear layer receives, or with `layer` the averages of that
    layer's maps.

    data    as for training, with its labels; or a folder, zip or list of images without classes
    out     FILE.parquet with a row for each image (file, label, embedding), or FILE.npy, float32 [N, dim], beside which
            FILE.csv names the images and FILE.json the model
    engine  "auto", "torch", "onnxruntime" or "openvino", in fp32; a layer needs torch

    Memory holds a few batches, however many images there are. Features are kept in the cache folder, so an interrupted
    call goes on where it was. Raises DataError, BundleError for a detector, TableError for an unknown layer, and
    RunError for an `out` that cannot be written, or beside which lie files of other programs.
    """
    progress = progress or Progress()
    target = None if out is None else Path(out)
    if target is not None:
        _check_target(target, absolute(data))
    splits = _open(data, progress)
    classifier = model if isinstance(model, Classifier) else load(model)
    source = None if isinstance(model, Classifier) else str(absolute(model) if Path(model).exists() else model)
    extraction = extraction_of(classifier, layer, engine, progress)
    features, skipped = extract(splits, extraction, progress)
    named = [
        (split.file(index), _label(split, index))
        for split in splits
        for index in with_features(split, skipped).tolist()
    ]
    if not named:
        raise DataError(f"Cannot embed {data}: it has no image that can be read. Try inceptorch check {data}.")
    about = {"model": source, **extraction.key, "dim": features.dim}
    files, labels = [file for file, _ in named], [label for _, label in named]
    if target is not None:
        _write(target, files, labels, features, about)
    return Embeddings(files, labels, about, features.take, skipped)


def extraction_of(classifier: Classifier, layer: str | None, engine: str, progress: Progress) -> Extraction:
    """How a classifier's embeddings are made; their key is the same wherever it lies. Raises BundleError for a
    detector."""
    if classifier.config.detection is not None:
        raise BundleError("Cannot embed images by a detector: it answers with boxes. Try a classifier.")
    if layer is None:
        extractor = open_extractor(classifier, engine, progress)
    elif engine in ("auto", "torch"):
        extractor = TorchExtractor(classifier, layer)
    else:
        raise BundleError(f"Cannot embed images by layer {layer} with {engine}. Try --engine torch.")

    def prepare(image: RGBArray) -> NDArray[np.float32]:
        crop = classifier.preprocessing.apply(Image.fromarray(image))
        return crop.transpose(2, 0, 1).astype(np.float32)

    weights, network = classifier_fingerprint(classifier), classifier.config.architecture
    return Extraction(
        extractor, prepare, {"weights": weights, "network": network, "layer": layer, "engine": extractor.name}
    )


def read_embeddings(path: str | Path) -> Embeddings:
    """What `embed` wrote. The array of a .npy stays on disk until it is used. Raises DataError."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"Cannot read embeddings from {path}: it is no {' or '.join(SUFFIXES)}. Try inceptorch embed.")
    refusal = DataError(
        f"Cannot read embeddings from {path}: it or a file beside it is damaged, or of another program. Embed anew."
    )
    with reading(path, DataError):
        try:
            found = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_npy(path)
        except (ValueError, KeyError, TypeError, EOFError, csv.Error, RecursionError):
            raise refusal from None
    if not isinstance(found.about, dict) or len(found.labels) != len(found.files) or not found.files:
        raise refusal
    return found


def _open(data: str | Path, progress: Progress) -> list[Split]:
    """The splits of DATA with their labels, or all its images where it has no classes."""
    try:
        splits = [read() for read in open_splits(data).values()]
    except DataError:
        splits = []
    if not any(map(len, splits)):
        splits = open_images(data)
        progress.info(f"{data} has no classes: its images are embedded without labels")
    return [split for split in splits if len(split)]


def _label(split: Split, index: int) -> str | None:
    """None for images of no class, such as those with boxes."""
    return split.classes[split.labels[index]] or None if len(split.labels) == len(split) else None


def _check_target(target: Path, data: str) -> None:
    """Raise RunError for a file that cannot be written, or where DATA or a file of another program would change."""
    require_writable(target, SUFFIXES)
    ensure_outside(target, data)
    for file in _beside(target):
        ensure_outside(file, data)
        if file.exists() and not target.exists():
            raise RunError(f"Cannot write {target}: {file}, which goes with it, is there already. Try another name.")


def _beside(path: Path) -> list[Path]:
    """The names and the model of a .npy: FILE.csv and FILE.json."""
    return [] if path.suffix.lower() == ".parquet" else [path.with_suffix(".csv"), path.with_suffix(".json")]


def _write(path: Path, files: list[str], labels: list[str | None], features: Features, about: dict[str, Any]) -> None:
    if path.suffix.lower() == ".parquet":
        atomic_write(path, lambda temporary: _write_parquet(temporary, files, labels, features, about))
        return
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(zip(files, (label or "" for label in labels), strict=True))
    names, model = _beside(path)
    write_text(names, LABELED + table.getvalue())
    write_text(model, json.dumps(about, indent=1) + "\n")

    def write(temporary: Path) -> None:
        shape = (len(features), features.dim)
        with open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for block in features.blocks():
                file.write(np.ascontiguousarray(block, "<f4").tobytes())

    atomic_write(path, write)  # last, as the others say nothing without it


def _write_parquet(
    path: Path, files: list[str], labels: list[str | None], features: Features, about: dict[str, Any]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float32(), features.dim)
    schema = pa.schema(
        [("file", pa.string()), ("label", pa.string()), ("embedding", vector)], {ABOUT: json.dumps(about)}
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start, block in zip(range(0, len(files), ROWS), features.blocks(ROWS), strict=True):
            names = [name.encode("utf-8", "backslashreplace").decode() for name in files[start : start + ROWS]]
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), features.dim)
            rows = [pa.array(names), pa.array(labels[start : start + ROWS], pa.string()), vectors]
            writer.write_table(pa.Table.from_arrays(rows, schema=schema))


def _read_parquet(path: Path) -> Embeddings:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["file", "label", "embedding"])
    about = json.loads((table.schema.metadata or {})[ABOUT.encode()])
    column = table["embedding"].combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(table), -1)
    return Embeddings(table["file"].to_pylist(), table["label"].to_pylist(), about, lambda: vectors)


def _read_npy(path: Path) -> Embeddings:
    vectors = cast("NDArray[np.float32]", np.load(path, mmap_mode="r", allow_pickle=False))
    names, model = _beside(path)
    for companion in (names, model):
        if not companion.exists():
            raise DataError(f"Cannot read embeddings from {path}: {companion}, beside it, is missing. Embed anew.")
    about = json.loads(model.read_text("utf-8"))
    with open(names, encoding="utf-8", newline="") as file:
        rows: Iterable[list[str]] = list(csv.reader(file))[1:]
    named = [(file, label or None) for file, label in rows]
    if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(named):
        raise ValueError
    return Embeddings([file for file, _ in named], [label for _, label in named], about, lambda: vectors)
