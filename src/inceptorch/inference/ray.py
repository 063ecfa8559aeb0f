"""Predictions on a Ray cluster: chunks of images as tasks.

Tasks, not Ray Data: results come in the order of the images, from any image on and with bounded memory, so that files
are written and resumed as on one machine. Ray repeats the tasks of a machine that fails.
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
from inceptorch.inference.options import BoxOptions, PredictOptions, predict_entries
from inceptorch.inference.pipeline import in_batches

CHUNK = 256  # images per task, at least: seconds of work
MAX_CORES = 4  # per task
MAX_RETRIES = 10  # of a task whose machine fails


class Opening(NamedTuple):
    """The arguments with which every process opens the engine."""

    model: str
    engine: str
    precision: str
    cores: int
    batch_size: int


def predict_on_cluster(
    address: str,
    model: str | Path,
    engine: Engine,
    entries: Iterable[Entry],
    options: PredictOptions | BoxOptions,
) -> Iterator[Entry]:
    """As `predict_entries`, in every process of the Ray cluster at `address`, or of a new one here if that is "local".

    All machines need this package, and the images and the model under the same paths. Raises RunError if there is no
    cluster, or it fails.
    """
    _connect(address)
    try:
        machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        cores = min([MAX_CORES, *filter(None, machines)])  # as many as every machine has
        task = ray.remote(num_cpus=cores, max_retries=MAX_RETRIES)(_predict_chunk)
        # Published weights keep their name: a machine that lacks them downloads them.
        where = str(Path(model).absolute()) if Path(model).exists() else str(model)
        opening = Opening(where, engine.name, engine.precision, cores, engine.batch_size)
        waiting: deque[Any] = deque()
        size = options.predictor(engine).images_per_batch
        for chunk in in_batches(entries, -(-CHUNK // size) * size):  # whole batches, as on one machine
            waiting.append(task.remote(opening, os.getcwd(), chunk, options))
            if len(waiting) >= 2 * max(1, int(ray.cluster_resources().get("CPU", 0)) // cores):
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
            f"There is no Ray cluster at {address!r} ({reason}). Start one with: ray start --head."
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray's own would end with another exit code


def _result(reference: Any) -> list[Entry]:
    try:
        entries: list[Entry] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InceptorchError):
            raise error.cause from None
        raise RunError(
            f"Cannot predict on a machine of the cluster: {' '.join(str(error.cause).split())}. See its log."
        ) from error
    except ray.exceptions.RayError as error:
        raise RunError(f"The Ray cluster failed ({type(error).__name__}). Try again once it runs.") from error
    return entries


def _predict_chunk(
    opening: Opening, folder: str, chunk: list[Entry], options: PredictOptions | BoxOptions
) -> list[Entry]:
    """The task: results for a chunk of entries, whose names are of files in `folder`."""
    return list(predict_entries(_opened(opening), chunk, options, opening.cores, Path(folder)))


@cache
def _opened(opening: Opening) -> Engine:
    """The engine, opened once per process."""
    return open_engine(
        opening.model, opening.engine, opening.precision, threads=opening.cores, batch_size=opening.batch_size
    )
