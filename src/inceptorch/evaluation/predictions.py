"""Files of predictions: log probabilities for every image of a split, to be evaluated and combined again.

A file is safetensors with metadata in its header. It is computed in chunks, each on disk when done: an interrupted
evaluation resumes, and memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from inceptorch.data import Split
from inceptorch.data import fingerprint as data_fingerprint
from inceptorch.errors import ProtocolError, RunError
from inceptorch.images.crops import CropProtocol
from inceptorch.inference.engines import Engine, fingerprint
from inceptorch.inference.predictor import Predictor
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.files import atomic_write, os_error_reason, reading, write_text
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import DistributedContext

SUFFIX = ".safetensors"
FORMAT, BEFORE = "inceptorch predictions 2", "inceptorch predictions 1"
CHUNK = 512  # crops: about ten seconds' work on two cores
READ_SIZE = 512  # images
LOGS = "log_probabilities.npy"  # of the chunks that are done


@dataclass(frozen=True)
class PredictionMetadata:
    """The origin of predictions.

    model          name of the network
    weights        hash of the weights, the table and the preprocessing
    size           input size in pixels
    protocol       name of the crop protocol
    description    the protocol in words
    crops          crops per image
    multiply_adds  per crop
    classes        names, in the order of the columns
    images         fingerprint of the images
    changed        hash of their modification times
    """

    model: str
    weights: str
    size: int
    protocol: str
    description: str
    crops: int
    multiply_adds: int
    classes: list[str]
    images: str
    changed: str


def _metadata(engine: Engine, split: Split, protocol: CropProtocol, saved: bool) -> PredictionMetadata:
    """The metadata of new predictions; those that are not saved do without hashes."""
    network, preprocessing, classes = engine.config.network, engine.config.preprocessing, engine.config.classes
    return PredictionMetadata(
        model=network.name,
        weights=fingerprint(engine) if saved else "",
        size=preprocessing.size,
        protocol=protocol.name,
        description=protocol.describe(preprocessing),
        crops=protocol.count,
        multiply_adds=engine.config.macs,
        classes=classes,
        images=data_fingerprint(split),
        changed=hashlib.sha256(np.asarray(split.files.changed).tobytes()).hexdigest() if saved else "",
    )


@dataclass(frozen=True)
class Predictions:
    """Predictions in a file or in memory.

    path      the file, if any
    name      of the model, as given
    metadata  what they are of
    labels    the true classes, int32 [N]
    files     names of the images within DATA
    values    log probabilities, float32 [N, classes], where there is no file
    """

    path: Path | None
    name: str
    metadata: PredictionMetadata
    labels: Ints
    files: Sequence[str]
    values: Floats | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """The name of the model, and of its network where that is another."""
        return self.name if self.name == self.metadata.model else f"{self.name} ({self.metadata.model})"

    def chunks(self) -> Iterator[tuple[slice, Floats]]:
        """Some images at a time: where they are, and their log probabilities, float32 [n, classes]."""
        where = [slice(start, min(start + READ_SIZE, len(self))) for start in range(0, len(self), READ_SIZE)]
        if self.values is not None:
            yield from ((each, self.values[each]) for each in where)
            return
        assert self.path is not None
        with safe_open(self.path, framework="numpy") as file:
            values = file.get_slice("log_probabilities")
            yield from ((each, values[each.start : each.stop]) for each in where)


def predict_split(
    engine: Engine,
    name: str,
    split: Split,
    protocol: CropProtocol,
    folder: Path | None,
    world: DistributedContext,
    progress: Progress,
) -> Predictions:
    """The predictions for a split, to which all processes contribute.

    With a folder, they are read from a file there, or written to it; an interrupted attempt is resumed. The name of the
    file begins with the model's `name` and ends with a hash of the metadata. Raises RunError and ImageError.
    """
    metadata = _metadata(engine, split, protocol, saved=folder is not None)
    size = Predictor(engine, protocol).images_per_batch
    size = max(size, CHUNK // protocol.count // size * size)  # whole batches
    chunks = [range(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    if folder is None:
        computed = [values for _, values in _compute(engine, split, protocol, chunks, set(), world, progress)]
        values = np.concatenate(computed) if world.is_main else np.empty((0, len(metadata.classes)), np.float32)
        return Predictions(None, name, metadata, np.asarray(split.labels), split.paths, values)

    digest = hashlib.sha256(json.dumps(asdict(metadata)).encode()).hexdigest()[:8]
    file = folder / f"{Path(name).name}.{protocol.name}.{digest}{SUFFIX}"
    if (saved := world.run_on_main(lambda: _saved(file, progress))) is not None:
        return replace(saved, name=name)
    unfinished = folder / f".{file.name}.parts"
    done = world.run_on_main(lambda: _resume(unfinished, metadata, len(split), len(chunks)))
    if done:
        progress.info(f"resuming after {len(done)} of {len(chunks)} chunks")
    try:
        for number, values in _compute(engine, split, protocol, chunks, done, world, progress):
            _save(unfinished, number, chunks[number].start, values)
    except (KeyboardInterrupt, SystemExit):
        progress.info("stopped; with --save-predictions, the same command resumes")
        raise
    world.run_on_main(lambda: _join(unfinished, file, name, metadata, split))
    return world.run_on_main(lambda: read_predictions(file))


def read_predictions(file: Path) -> Predictions:
    """The predictions in a file. Raises ProtocolError."""
    try:
        with reading(file, ProtocolError), safe_open(file, framework="numpy") as opened:
            header = opened.metadata() or {}
            if FORMAT not in header and header.get("format") != BEFORE:
                raise ProtocolError(f"{file} holds no predictions. `inceptorch eval --save-predictions` writes them.")
            labels, names = opened.get_tensor("labels"), opened.get_tensor("files")
            shape = opened.get_slice("log_probabilities").get_shape()
        if FORMAT in header:
            header = json.loads(header[FORMAT])
        else:  # format 1, to be read for one release
            header["about"] = json.loads(header["about"])
        metadata = PredictionMetadata(
            **{"images" if key == "pictures" else key: value for key, value in header["about"].items()}
        )
        files = names.tobytes().decode("utf-8", "surrogateescape").split("\0")
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise ProtocolError(
            f"{file} holds no predictions, or is damaged. `inceptorch eval --save-predictions` writes it again."
        ) from None
    if shape != [len(labels), len(metadata.classes)] or len(files) != len(labels) or labels.ndim != 1:
        raise ProtocolError(
            f"Cannot use {file}: it has predictions for other images than it names. Try writing it again."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(metadata.classes):
        raise ProtocolError(f"Cannot use {file}: some labels are outside its classes. Try writing it again.")
    return Predictions(file, header.get("name", file.name), metadata, labels, files)


def combined(members: Sequence[Predictions], weights: Sequence[float]) -> Iterator[tuple[slice, Floats]]:
    """The log probabilities of an ensemble, float64 [n, classes], some images at a time: the logarithm of its members'
    averaged probabilities. Raises ProtocolError if they are not of the same images and classes."""
    first = members[0]
    for other in members[1:]:
        if other.metadata.classes != first.metadata.classes:
            raise ProtocolError(
                f"Cannot combine {first.name} and {other.name}: their classes differ. Try classifiers of the same data."
            )
        if other.metadata.images != first.metadata.images or list(other.files) != list(first.files):
            raise ProtocolError(
                f"Cannot combine {first.name} and {other.name}: they are of different images. Try the same DATA and "
                "split."
            )
    fractions = np.log(np.asarray(weights, np.float64) / sum(weights))
    for chunks in zip(*(member.chunks() for member in members), strict=True):
        total = np.full(chunks[0][1].shape, -np.inf)
        for fraction, (_, logs) in zip(fractions, chunks, strict=True):
            with np.errstate(invalid="ignore"):  # values that are not finite are found by evaluation
                total = np.logaddexp(total, fraction + logs)
        yield chunks[0][0], total


def _compute(
    engine: Engine,
    split: Split,
    protocol: CropProtocol,
    chunks: Sequence[range],
    done: set[int],
    world: DistributedContext,
    progress: Progress,
) -> Iterator[tuple[int, Floats]]:
    """The number and the log probabilities of every chunk that is not done; on the first process alone."""
    left = [number for number in range(len(chunks)) if number not in done]
    # All processes have the same number of turns, as the first one collects the chunks of each turn.
    turns = range(0, len(left), world.count)
    mine = [chunks[left[turn + world.rank]] if turn + world.rank < len(left) else range(0) for turn in turns]
    total = sum(map(len, mine))
    stream = Predictor(engine, protocol).stream(chain(*mine), split.image)
    predictions = progress.track(stream, total, "evaluating")
    for turn, chunk in zip(turns, mine, strict=True):
        logs = [next(predictions).log_probabilities for _ in chunk]
        values = np.stack(logs) if logs else np.empty((0, len(engine.config.classes)), np.float32)
        yield from zip(left[turn : turn + world.count], world.collect(values), strict=False)


def _saved(file: Path, progress: Progress) -> Predictions | None:
    """The predictions in a file; None where there is none, or a damaged one."""
    if not file.exists():
        return None
    try:
        predictions = read_predictions(file)
    except ProtocolError:
        progress.info(f"{file} is damaged: its predictions are computed again")
        return None
    progress.info(f"{file} has these predictions already")
    return predictions


def _resume(folder: Path, metadata: PredictionMetadata, images: int, count: int) -> set[int]:
    """The chunks that an interrupted attempt left. Those of anything else are deleted, and the folder is begun anew."""
    note = folder / "about.json"
    expected = json.dumps(asdict(metadata))
    with suppress(OSError, UnicodeDecodeError):
        if note.read_text(encoding="utf-8") == expected:
            return {number for number in range(count) if (folder / f"{number}.done").exists()}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        open_memmap(folder / LOGS, "w+", "<f4", (images, len(metadata.classes)))
        if hasattr(os, "posix_fallocate"):  # a disk that fills while memory is written to it would kill the process
            with open(folder / LOGS, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(file.name))
    except OSError as error:
        raise RunError(f"{folder} could not be made: {os_error_reason(error)}.") from None
    write_text(note, expected)
    return set()


def _save(folder: Path, number: int, start: int, values: Floats) -> None:
    """Write a chunk to its place, then mark it as done."""
    with reading(folder / LOGS, RunError):
        logs = open_memmap(folder / LOGS, "r+")
        logs[start : start + len(values)] = values
        logs.flush()
    write_text(folder / f"{number}.done", "")


def _join(folder: Path, file: Path, name: str, metadata: PredictionMetadata, split: Split) -> None:
    """Write all chunks as one file, and delete them."""
    tensors = {
        "log_probabilities": np.load(folder / LOGS, mmap_mode="r"),  # of which safetensors makes no copy
        "labels": np.asarray(split.labels, "<i4"),
        "files": np.frombuffer("\0".join(split.paths).encode("utf-8", "surrogateescape"), np.uint8),
    }
    name = name.encode("utf-8", "replace").decode()  # a folder's name need not be text
    header = json.dumps({"name": name, "about": asdict(metadata)})
    try:
        # One entry, as the order of several varies, and equal predictions are to be equal files.
        atomic_write(file, lambda path: save_file(tensors, path, {FORMAT: header}))
    except SafetensorError as error:
        raise RunError(f"Cannot write {file}: {error}.") from None
    read_predictions(file)  # before its chunks go
    shutil.rmtree(folder, ignore_errors=True)
