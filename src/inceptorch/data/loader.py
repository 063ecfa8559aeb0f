"""Batches of training images in order, from this process or from workers."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from inceptorch.data.augment import Batch, TrainingDataset
from inceptorch.errors import DiskError, InceptorchError
from inceptorch.utils.cpu import processors

MAX_WORKERS = 16
NEGLIGIBLE = 0.02  # fraction of a step's time below which loading is not worth the start of workers
WAIT = 1.0  # seconds without a batch after which a request to stop is looked at
MAX_WAITS = 600  # after so many, a worker counts as stuck
SHARED_MEMORY = "/dev/shm"
REMEDY = f"Try --workers 0; in a container also more memory, or a larger {SHARED_MEMORY}, as by --shm-size=2g."
MARGIN = 1.25  # images differ: more reading than on average


def load_batches(
    data: TrainingDataset, batches: Iterable[list[int]], workers: int, interrupt: Callable[[], None] = lambda: None
) -> Iterator[Batch]:
    """The given batches in order: uint8 [N, 3, S, S], labels [N], indices [N].

    `interrupt` is called every second in which no worker has a batch, and may raise. Raises ImageError naming the
    file, and DiskError where the workers lack shared memory, or one of them died or is stuck.
    """
    with warnings.catch_warnings(), _ctrl_c_blocked():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores, on purpose
        loader = DataLoader(
            _Batches(data),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_identity,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_init_worker if workers else None,
            timeout=WAIT if workers else 0,
        )
        ready: Iterator[Batch | InceptorchError] = iter(loader)
    with explain_dead_workers():
        while (batch := _next(ready, interrupt)) is not None:
            if isinstance(batch, InceptorchError):
                raise batch
            yield batch


def _next(ready: Iterator[Batch | InceptorchError], interrupt: Callable[[], None]) -> Batch | InceptorchError | None:
    """The next batch, or None at the end."""
    for _ in range(MAX_WAITS):
        try:
            return next(ready, None)
        except RuntimeError as error:
            if "DataLoader timed out" not in str(error):
                raise
            interrupt()
    raise DiskError(f"Cannot load images: the workers have given no batch for {MAX_WAITS * WAIT:.0f} seconds. {REMEDY}")


@contextmanager
def explain_dead_workers() -> Iterator[None]:
    """Within this context, the end of a worker, which torch reports wherever the program is, raises a DiskError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        why = str(error).partition(". It is possible")[0].rstrip(". ")
        raise DiskError(f"Cannot load images: {why}. {REMEDY}") from None


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Workers that start here inherit the mask. Ctrl-C would end one that does not ignore it yet; the parent hears it
    afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def num_workers(
    wanted: int, device: torch.device, data: TrainingDataset, batches: list[list[int]], step_seconds: float | None
) -> int:
    """Processes that read images: `wanted`, or where that is -1, as the machine needs. That is none on a CPU, as the
    network uses every core. With a GPU it is one for each core, up to 16, and no more than keep the network fed once
    the seconds of a step are known."""
    if wanted >= 0:
        return wanted
    if device.type == "cpu" or not batches:
        return 0
    cores = min(MAX_WORKERS, processors())
    if step_seconds is None:
        return cores
    began = time.monotonic()
    data.__getitems__(batches[0])
    return choose_workers(time.monotonic() - began, step_seconds, cores)


def choose_workers(loading: float, step: float, spare_cores: int) -> int:
    """The number of workers for batches that take `loading` seconds to load and `step` seconds to train on.

    None where loading is negligible or no core is spare, as on a CPU, where the network uses them all.
    """
    return 0 if loading <= NEGLIGIBLE * step else min(spare_cores, math.ceil(MARGIN * loading / step))


class _Batches(Dataset[Batch]):
    """Batches of a data set. An ImageError is returned, as torch would replace one that is raised by a traceback.

    A worker puts a batch into shared memory here: torch does it in a thread, where a failure loses the batch.
    """

    def __init__(self, data: TrainingDataset):
        self.data = data

    def __getitems__(self, batch: list[int]) -> Batch | InceptorchError:
        try:
            found = self.data.__getitems__(batch)
        except InceptorchError as error:
            return error
        worker = get_worker_info()
        if worker is not None:
            try:
                for tensor in found:
                    tensor.share_memory_()  # type: ignore[no-untyped-call]
            except (RuntimeError, OSError):
                return _no_shared_memory(found, worker.num_workers)
        return found


def _no_shared_memory(batch: Batch, workers: int) -> DiskError:
    size = sum(tensor.nbytes for tensor in batch) / 2**20
    total = f"{shutil.disk_usage(SHARED_MEMORY).total / 2**20:.3g} MiB" if os.path.isdir(SHARED_MEMORY) else "no room"
    return DiskError(
        f"Cannot load images: {SHARED_MEMORY} has {total}, too little for {workers} workers with batches of "
        f"{size:.3g} MiB. Start the container with --shm-size=2g, or use --workers 0."
    )


def _identity(batch: Any) -> Any:
    return batch


def _init_worker(_: int) -> None:
    """Leave signals to the parent, which often reach all processes: it needs the workers up to its checkpoint. SIGTERM
    from the parent itself ends a worker, as Python ends its children so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_parents_sigterm, daemon=True).start()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_on_parents_sigterm() -> None:
    parent = multiprocessing.parent_process()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != (parent.pid if parent else os.getppid()):
        pass
    os._exit(0)


def _exit_with_parent() -> None:
    """For a parent that was killed: torch watches the process that started this one, which from Python 3.14 on is a
    server that outlives the parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
