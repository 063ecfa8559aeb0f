"""Batches of training images in order, from this process or from others."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from inceptorch.data.augment import Augmented, Batch
from inceptorch.errors import InceptorchError
from inceptorch.utils.cpu import processors

NEGLIGIBLE = 0.02  # share of a step's time that loading may take before other processes are worth their start
MAX_WORKERS = 16
MARGIN = 1.25  # images differ: more reading than on average


def load(data: Augmented, batches: Iterable[list[int]], workers: int) -> Iterator[Batch]:
    """The given batches in order: uint8 [N, 3, S, S], labels [N], indices [N]. Raises ImageError naming the file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores: as was asked
        loader = DataLoader(
            _Handed(data),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_begin_as_worker if workers else None,
        )
        ready: Iterator[Batch | InceptorchError] = iter(loader)
    for batch in ready:
        if isinstance(batch, InceptorchError):
            raise batch
        yield batch


def num_workers(
    wanted: int, device: torch.device, data: Augmented, batches: list[list[int]], step_seconds: float | None
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
    """How many processes keep a network fed that takes `step` seconds for a batch which this process loads in `loading`
    seconds: none where that is negligible or no core is to spare, as on a CPU, where the network uses them all."""
    if loading <= NEGLIGIBLE * step:
        return 0
    return min(spare_cores, math.ceil(MARGIN * loading / step))


class _Handed(Dataset[Batch]):
    """Batches of a data set. An error of ours is returned, not raised: torch would put a worker's traceback in its
    place."""

    def __init__(self, data: Augmented):
        self.data = data

    def __getitems__(self, batch: list[int]) -> Batch | InceptorchError:
        try:
            return self.data.__getitems__(batch)
        except InceptorchError as error:
            return error


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_as_worker(_: int) -> None:
    _leave_signals_to_the_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _leave_signals_to_the_parent() -> None:
    """A wish to stop often reaches all processes; the parent obeys it after a checkpoint, and needs these for it.
    SIGTERM from the parent itself ends them, which is how Python ends what is left of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_parent_says_so, daemon=True).start()


def _end_when_the_parent_says_so() -> None:
    parent = multiprocessing.parent_process()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != (parent.pid if parent else os.getppid()):
        pass
    os._exit(0)


def _end_with_the_parent() -> None:
    """Where the parent was killed. torch looks who started this process, which from Python 3.14 on is a server that
    outlives the parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
