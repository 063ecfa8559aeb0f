"""The processes that torchrun starts for one training or evaluation; without torchrun there is one."""

from __future__ import annotations

import gc
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from inceptorch.errors import RunError
from inceptorch.runtime.device import best_device

T = TypeVar("T")
INIT_TIMEOUT = timedelta(hours=12)  # the first process may have a million images to look at while the others wait


@dataclass(frozen=True)
class DistributedContext:
    """The rank of this process, the number of processes, and the device of this one."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes, draws and logs."""
        return self.rank == 0

    @property
    def sync_lag(self) -> int:
        """Steps by which a loss is read late: a GPU computes on while it is copied."""
        return 1 if self.device.type == "cuda" else 0

    def shard(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of `items`: equal to within one, together all of them, none twice."""
        return items[self.rank :: self.count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over the processes. Statistics stay each process's own; the first one's
        are kept."""
        if self.count == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        newer = "forward_sync_buffers" in signature(DistributedDataParallel).parameters  # the name since torch 2.14
        own_buffers: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
        return DistributedDataParallel(module, device_ids=ids, gradient_as_bucket_view=True, **own_buffers)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every process's `values`, in place. On a GPU it may still be under way."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def shard_padded(self, items: Sequence[T]) -> list[T]:
        """This process's part of `items`, or, where it is empty, the first two, for which nothing is to be counted: all
        processes then take the same steps."""
        return list(self.shard(items)) or list(items[:2])

    def gather(self, mine: Tensor, total: int) -> Tensor:
        """The rows of all processes in the order in which `shard` dealt `total` of them out, without stand-ins."""
        if self.count == 1:
            return mine
        parts: list[Tensor] = [mine] * self.count
        dist.all_gather_object(parts, mine.cpu())
        whole = mine.new_empty(total, *mine.shape[1:])
        for rank, part in enumerate(parts):
            whole[rank :: self.count] = part[: len(range(rank, total, self.count))]
        return whole

    def gather_objects(self, mine: Sequence[T], total: int) -> list[T]:
        """As `gather`, of any objects."""
        if self.count == 1:
            return list(mine)
        parts: list[Sequence[T]] = [mine] * self.count
        dist.all_gather_object(parts, mine)
        return [parts[index % self.count][index // self.count] for index in range(total)]

    def collect(self, mine: T) -> list[T]:
        """Every process's value, in their order, in the first one; in the others, nothing."""
        if self.count == 1:
            return [mine]
        found: list[T | None] | None = [None] * self.count if self.is_main else None
        dist.gather_object(mine, found)
        return found or []  # type: ignore[return-value]

    def run_on_main(self, value: Callable[[], T]) -> T:
        """The value of the first process, in all of them. If it fails there, the first alone reports the error; the
        others end with exit code 2."""
        if self.count == 1:
            return value()
        result: list[T | None] = [None]
        failed = [True]
        try:
            if self.is_main:
                result, failed = [value()], [False]
        finally:
            dist.broadcast_object_list(failed)
            if not failed[0]:
                dist.broadcast_object_list(result)
        if failed[0]:
            raise SystemExit(2)
        return result[0]  # type: ignore[return-value]

    def broadcast_from_main(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers, batch normalization's statistics among them."""
        if self.count > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.detach(), 0)


class AsyncScalars:
    """Numbers on their way from a device. Reading waits for them, not for later work of the device."""

    def __init__(self, numbers: Tensor):
        self._numbers = numbers.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if numbers.is_cuda else None  # type: ignore[no-untyped-call]
        if self._arrived:
            self._arrived.record()

    def read(self) -> list[float]:
        if self._arrived:
            self._arrived.synchronize()
        found: list[float] = self._numbers.tolist()
        return found


def is_main_process() -> bool:
    """Whether this process prints the results."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """The number of processes that torchrun started, 1 without it."""
    # Some clusters set WORLD_SIZE for every job; torchrun sets RANK too.
    started = dist.is_available() and "RANK" in os.environ
    return int(os.environ.get("WORLD_SIZE", "1")) if started else 1


@contextmanager
def init_distributed(enabled: bool = True) -> Iterator[DistributedContext]:
    """This process's place among those that torchrun started; NCCL on GPUs, else gloo. `enabled=False` leaves the
    others out of it."""
    count = world_size() if enabled else 1
    if count == 1:
        yield DistributedContext(0, 1, best_device())
        return
    device = best_device()
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise RunError(
                f"Cannot start more processes than GPUs ({torch.cuda.device_count()}). Lower --nproc-per-node."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=INIT_TIMEOUT)
    try:
        yield DistributedContext(dist.get_rank(), count, device)
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it now, before the error is printed
        why = str(error).strip().splitlines()[0].partition(". This is")[0]  # what follows is advice to developers
        raise RunError(
            f"Lost contact with another of the {count} processes ({why}). See its log; continue with --resume from the "
            "last checkpoint."
        ) from error
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # which hold on to the group too
        raise
    finally:
        gc.collect()  # what wrap() made holds on to the group in a cycle, and a group that is left at the end aborts
        dist.destroy_process_group()
