"""Predictions: the log probabilities of every image of a split, in a file from which they can be evaluated and combined
again.

The file is safetensors with what the predictions are of in its header. They are made in parts, each written when it is
done, so that an interrupted evaluating goes on where it was and memory does not grow with the number of images.
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
from inceptorch.networks.complexity import count_complexity
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.files import atomic_write, os_error_reason, reading, write_text
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import Processes

SUFFIX = ".safetensors"
FORMAT, BEFORE = "inceptorch predictions 2", "inceptorch predictions 1"
PART = 512  # crops: ten seconds' work or so on two cores
READ = 512  # images at a time
LOGS = "log_probabilities.npy"  # of the parts that are done


@dataclass(frozen=True)
class About:
    """What predictions are of.

    model          the network's name
    weights        hash of the weights, the table and the preprocessing
    size           of the network's images, in pixels
    protocol       its name
    description    the protocol in words
    crops          averaged for each image
    multiply_adds  of one crop
    classes        names, in the order of the columns
    images       fingerprint of the images
    changed        hash of when each was changed, which no name and size tell
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


def about(engine: Engine, split: Split, protocol: CropProtocol, to_keep: bool) -> About:
    """What the predictions of this engine for these images are of; those that are not kept do without its hashes."""
    network, preprocessing, classes = engine.config.network, engine.config.preprocessing, engine.config.classes
    return About(
        model=network.name,
        weights=fingerprint(engine) if to_keep else "",
        size=preprocessing.size,
        protocol=protocol.name,
        description=protocol.describe(preprocessing),
        crops=protocol.count,
        multiply_adds=count_complexity(network, preprocessing.size, len(classes), preprocessing.in_chans).macs,
        classes=classes,
        images=data_fingerprint(split),
        changed=hashlib.sha256(np.asarray(split.files.changed).tobytes()).hexdigest() if to_keep else "",
    )


@dataclass(frozen=True)
class Predictions:
    """Predictions in a file, or in memory: the name by which the model was given, what they are of, the right classes
    int32 [N], the images' names within DATA, and, without a file, the log probabilities float32 [N, classes]."""

    path: Path | None
    name: str
    about: About
    labels: Ints
    files: Sequence[str]
    values: Floats | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def title(self) -> str:
        """The model's name, with its network's beside it where that says more."""
        return self.name if self.name == self.about.model else f"{self.name} ({self.about.model})"

    def parts(self) -> Iterator[tuple[slice, Floats]]:
        """The log probabilities float32 [n, classes], some images at a time, with their place."""
        if self.values is not None:
            for start in range(0, len(self), READ):
                yield slice(start, min(start + READ, len(self))), self.values[start : start + READ]
            return
        assert self.path is not None
        with safe_open(self.path, framework="numpy") as file:
            rows = file.get_slice("log_probabilities")
            for start in range(0, len(self), READ):
                place = slice(start, min(start + READ, len(self)))
                yield place, rows[place.start : place.stop]


def predict_split(
    engine: Engine,
    name: str,
    split: Split,
    protocol: CropProtocol,
    kept: Path | None,
    world: Processes,
    progress: Progress,
) -> Predictions:
    """The predictions for a split, each process computing its share. With a folder `kept` they come from there if they
    are there already, else the first process writes them there, where an interrupted attempt at the same goes on.
    `name`, the model's, begins the file's name, and a hash of what they are of ends it. Raises RunError and
    ImageError."""
    of = about(engine, split, protocol, to_keep=kept is not None)
    size = Predictor(engine, protocol).images_per_batch
    size = max(size, PART // protocol.count // size * size)  # whole batches
    parts = [range(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    if kept is None:
        made = [values for _, values in _made(engine, split, protocol, parts, set(), world, progress)]
        values = np.concatenate(made) if world.first else np.empty((0, len(of.classes)), np.float32)
        return Predictions(None, name, of, np.asarray(split.labels), split.paths, values)

    file = kept / f"{Path(name).name}.{protocol.name}.{_digest(of)}{SUFFIX}"
    if (found := world.from_first(lambda: _kept(file, progress))) is not None:
        return replace(found, name=name)
    folder = kept / f".{file.name}.parts"
    done = world.from_first(lambda: _begun(folder, of, len(split), len(parts)))
    if done:
        progress.info(f"going on after {len(done)} of {len(parts)} parts")
    try:
        for number, values in _made(engine, split, protocol, parts, done, world, progress):
            _save(folder, number, parts[number].start, values)
    except (KeyboardInterrupt, SystemExit):
        progress.info("stopped; with --save-predictions the same command goes on after the last whole part")
        raise
    world.from_first(lambda: _join(folder, file, name, of, split))
    return world.from_first(lambda: read_predictions(file))


def read_predictions(file: Path) -> Predictions:
    """The predictions in a file. Raises ProtocolError."""
    try:
        with reading(file, ProtocolError), safe_open(file, framework="numpy") as opened:
            header = opened.metadata() or {}
            if FORMAT not in header and header.get("format") != BEFORE:
                raise ProtocolError(f"{file} holds no predictions; `inceptorch eval --save-predictions` writes them.")
            labels, names = opened.get_tensor("labels"), opened.get_tensor("files")
            shape = opened.get_slice("log_probabilities").get_shape()
        if FORMAT in header:
            header = json.loads(header[FORMAT])
        else:  # the format before: to be read for one release
            header["about"] = json.loads(header["about"])
        of = About(**header["about"])
        files = names.tobytes().decode("utf-8", "surrogateescape").split("\0")
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise ProtocolError(
            f"{file} holds no predictions, or is damaged; `inceptorch eval --save-predictions` makes it again."
        ) from None
    if shape != [len(labels), len(of.classes)] or len(files) != len(labels) or labels.ndim != 1:
        raise ProtocolError(f"{file} is damaged: its parts do not belong together.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(of.classes):
        raise ProtocolError(f"{file} is damaged: it has labels that are no classes.")
    return Predictions(file, header.get("name", file.name), of, labels, files)


def combined(members: Sequence[Predictions], weights: Sequence[float]) -> Iterator[tuple[slice, Floats]]:
    """The log probabilities of an ensemble: the logarithm of its members' averaged probabilities, float64 [n, classes],
    a part of the images at a time. Raises ProtocolError if they are not of the same images and classes."""
    first = members[0]
    for other in members[1:]:
        if other.about.classes != first.about.classes:
            raise ProtocolError(f"{first.name} and {other.name} are of classifiers with different classes.")
        if other.about.images != first.about.images or list(other.files) != list(first.files):
            raise ProtocolError(f"{first.name} and {other.name} are of different images.")
    shares = np.log(np.asarray(weights, np.float64) / sum(weights))
    for parts in zip(*(member.parts() for member in members), strict=True):
        place = parts[0][0]
        total = np.full(parts[0][1].shape, -np.inf)
        for share, (_, logs) in zip(shares, parts, strict=True):
            with np.errstate(invalid="ignore"):  # what is not finite is found where it is evaluated
                total = np.logaddexp(total, share + logs)
        yield place, total


def _made(
    engine: Engine,
    split: Split,
    protocol: CropProtocol,
    parts: Sequence[range],
    done: set[int],
    world: Processes,
    progress: Progress,
) -> Iterator[tuple[int, Floats]]:
    """The number and the log probabilities of every part that is not done; on the first process alone."""
    left = [number for number in range(len(parts)) if number not in done]
    # Every process has as many turns, as the first one takes what all have made in each.
    turns = range(0, len(left), world.count)
    at = [turn + world.rank for turn in turns]
    mine = [parts[left[place]] if place < len(left) else range(0) for place in at]
    total = sum(map(len, mine))
    stream = Predictor(engine, protocol).stream(chain(*mine), split.image)
    predictions = progress.track(stream, total, "evaluating")
    for turn, part in zip(turns, mine, strict=True):
        logs = [next(predictions).log_probabilities for _ in part]
        values = np.stack(logs) if logs else np.empty((0, len(engine.config.classes)), np.float32)
        yield from zip(left[turn : turn + world.count], world.collect(values), strict=False)


def _digest(of: About) -> str:
    return hashlib.sha256(json.dumps(asdict(of)).encode()).hexdigest()[:8]


def _kept(file: Path, progress: Progress) -> Predictions | None:
    """The predictions in a file: just those asked for, as its name says. None where there are none; what is damaged is
    made again."""
    if not file.exists():
        return None
    try:
        found = read_predictions(file)
    except ProtocolError:
        progress.info(f"{file} is damaged: its predictions are made again")
        return None
    progress.info(f"{file} has these predictions already")
    return found


def _begun(folder: Path, of: About, images: int, count: int) -> set[int]:
    """The parts that an interrupted attempt at the same left; the parts of anything else are deleted."""
    note = folder / "about.json"
    wanted = json.dumps(asdict(of))
    with suppress(OSError, UnicodeDecodeError):
        if note.read_text(encoding="utf-8") == wanted:
            return {number for number in range(count) if (folder / f"{number}.done").exists()}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        open_memmap(folder / LOGS, "w+", "<f4", (images, len(of.classes)))
        if hasattr(os, "posix_fallocate"):  # a disk that fills while memory is written to it would kill the process
            with open(folder / LOGS, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(file.name))
    except OSError as error:
        raise RunError(f"{folder} could not be made: {os_error_reason(error)}.") from None
    write_text(note, wanted)
    return set()


def _save(folder: Path, number: int, start: int, values: Floats) -> None:
    """Write a part to its place, then mark it as done."""
    with reading(folder / LOGS, RunError):
        logs = open_memmap(folder / LOGS, "r+")
        logs[start : start + len(values)] = values
        logs.flush()
    write_text(folder / f"{number}.done", "")


def _join(folder: Path, file: Path, name: str, of: About, split: Split) -> None:
    """Write all parts as one file, and delete them."""
    tensors = {
        "log_probabilities": np.load(folder / LOGS, mmap_mode="r"),  # of which safetensors makes no copy
        "labels": np.asarray(split.labels, "<i4"),
        "files": np.frombuffer("\0".join(split.paths).encode("utf-8", "surrogateescape"), np.uint8),
    }
    name = name.encode("utf-8", "replace").decode()  # a folder's name need not be text
    header = json.dumps({"name": name, "about": asdict(of)})
    try:
        # One entry, as several come in any order, and equal predictions are equal files.
        atomic_write(file, lambda path: save_file(tensors, path, {FORMAT: header}))
    except SafetensorError as error:
        raise RunError(f"{file} could not be written: {error}.") from None
    read_predictions(file)  # before what it was made of goes
    shutil.rmtree(folder, ignore_errors=True)
