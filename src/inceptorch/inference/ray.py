"""The same predictions by many machines: chunks of images as tasks of a Ray cluster.

Tasks, not Ray Data: answers must come in the order of the images, from any image on and with bounded memory, so
that they are written and taken up as those of one machine are. Ray repeats the tasks of a machine that fails.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.exceptions

from inceptorch.errors import InceptorchError, RunError
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.inputs import Entry
from inceptorch.inference.options import PredictOptions, predict_entries
from inceptorch.inference.pipeline import in_batches
from inceptorch.inference.predictor import Predictor

CHUNK = 256  # images of a task at least: seconds of work
CORES = 4  # of a task, where machines have so many
TRIES = 10  # of a task whose machine fails


class Opening(NamedTuple):
    """How every process opens the classifier."""

    model: str
    engine: str
    precision: str
    cores: int
    batch_size: int


def predict_on_cluster(
    address: str, model: str | Path, engine: Engine, entries: Iterable[Entry], options: PredictOptions
) -> Iterator[Entry]:
    """As `predict_entries` with this engine, opened again from `model` by every process of a Ray cluster; `address` is
    its own, or "local" for one that is started on this machine. All machines need this package, and see the images
    and the model under the same paths. Raises RunError if there is no cluster, or it fails."""
    _connect(address)
    try:
        cores = _cores_of_a_task()
        task = ray.remote(num_cpus=cores, max_retries=TRIES)(_answer_chunk)
        where = _found_everywhere(model)
        waiting: deque[Any] = deque()
        # Whole batches, as one machine has them.
        size = Predictor(engine, options.protocol).images_per_batch
        for chunk in in_batches(entries, -(-CHUNK // size) * size):
            opening = Opening(where, engine.name, engine.precision, cores, engine.batch_size)
            waiting.append(task.remote(opening, os.getcwd(), chunk, options))
            if len(waiting) >= 2 * max(1, _cores_in_all() // cores):
                yield from _result(waiting.popleft())
        while waiting:
            yield from _result(waiting.popleft())
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, include_dashboard=False if address == "local" else None, log_to_driver=False,
                 logging_level=logging.ERROR)  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"There is no Ray cluster at {address!r} ({reason}); start one with: ray start --head."
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray's own would end with another exit code


def _cores_in_all() -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _cores_of_a_task() -> int:
    """As many as every machine of the cluster has."""
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return min([CORES, *(cores for cores in machines if cores)])


def _found_everywhere(model: str | Path) -> str:
    """The model as other processes find it: published weights keep their name, and are fetched where they are not
    yet."""
    path = Path(model)
    return str(path.absolute()) if path.exists() else str(model)


def _result(reference: Any) -> list[Entry]:
    try:
        answers: list[Entry] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InceptorchError):
            raise error.cause from None
        raise RunError(f"A machine of the cluster could not predict: {' '.join(str(error.cause).split())}") from error
    except ray.exceptions.RayError as error:
        raise RunError(f"The Ray cluster failed ({type(error).__name__}); begin again when it is well.") from error
    return answers


def _answer_chunk(opening: Opening, folder: str, chunk: list[Entry], options: PredictOptions) -> list[Entry]:
    """The task: answers to a chunk of entries, whose names are of files in `folder`."""
    return list(predict_entries(_opened(opening), chunk, options, opening.cores, Path(folder)))


@cache
def _opened(opening: Opening) -> Engine:
    """The engine, once for every process, as Ray gives it one task after another."""
    return open_engine(
        opening.model, opening.engine, opening.precision, threads=opening.cores, batch_size=opening.batch_size
    )
