"""One training step of many processes, simulated: gradients that become ready going backward, and a link that carries them.

Nothing here measures. Shapes, parameters and multiply-adds are those of the tables; speeds are whatever the caller states.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inceptorch.costs import aux_rows_of, rows_of
from inceptorch.spec import Net

FLOAT = 4  # bytes of a gradient, which stays in 32 bits under bf16 too
FIRST_BUCKET, BUCKET = 1 << 20, 25 << 20  # bytes at which DistributedDataParallel closes a bucket
PASSES = 3  # forward, and twice that backward: by the inputs and by the weights
CLASSES = 1000


@dataclass(frozen=True)
class Link:
    """What joins the processes: bytes a second that one of them sends while it receives as many, seconds for a hop."""

    name: str
    bandwidth: float
    latency: float

    def all_reduce(self, size: float, processes: int) -> float:
        """Seconds of a ring all-reduce of `size` bytes: 2(p-1) hops, each with one p-th of the bytes."""
        return 2 * (processes - 1) * (self.latency + size / processes / self.bandwidth)


@dataclass(frozen=True)
class Row:
    """A row of a network: multiply-adds going forward for one picture, and the bytes of its gradients."""

    macs: int
    gradients: int


@dataclass(frozen=True)
class Step:
    """Seconds of a simulated step: of the network, of the link, of the link while the network waits, and of all."""

    network: float
    link: float
    exposed: float
    seconds: float


def rows_backward(net: Net, aux: bool) -> list[Row]:
    """A network's rows in the order in which their gradients become ready: the classifier first, the stem last, each
    auxiliary head before the row it stands on."""
    shape = (3, net.size, net.size)
    rows = []
    for row in rows_of(net, shape, CLASSES):
        rows.append(Row(row.macs, FLOAT * row.params))
        if aux and row.name in net.aux:
            head = aux_rows_of(net, row.name, row.output, CLASSES)
            rows.append(Row(sum(part.macs for part in head), FLOAT * sum(part.params for part in head)))
    return rows[::-1]


def buckets(gradients: Sequence[int]) -> list[list[int]]:
    """The indices of rows with so many bytes of gradients, in buckets that close when full: the first one early, so that
    the link has something to do."""
    filled: list[list[int]] = [[]]
    size, limit = 0, FIRST_BUCKET
    for index, own in enumerate(gradients):
        if size >= limit:
            filled.append([])
            size, limit = 0, BUCKET
        filled[-1].append(index)
        size += own
    return filled


def simulate(
    forward: float, backward: Sequence[float], gradients: Sequence[int], all_reduce: Callable[[float], float]
) -> Step:
    """A step whose rows take `backward` seconds one after the other and leave so many bytes of `gradients`. A bucket is
    sent when its last row is done and the link is free; the step ends when row and link have nothing left."""
    filled = buckets(gradients)
    ends_bucket = {bucket[-1]: sum(gradients[index] for index in bucket) for bucket in filled}
    waiting: list[int] = []
    free, busy, now = True, 0.0, forward
    events = [(forward + sum(backward[: index + 1]), index) for index in range(len(backward))]
    sent = len(backward)  # an event's number: below, a row that is done; this, a bucket that has arrived
    heapq.heapify(events)
    while events:
        now, event = heapq.heappop(events)
        if event == sent:
            free = True
        elif event in ends_bucket:
            waiting.append(ends_bucket[event])
        if free and waiting:
            seconds = all_reduce(waiting.pop(0))
            heapq.heappush(events, (now + seconds, sent))
            free, busy = False, busy + seconds
    network = forward + sum(backward)
    return Step(network, busy, now - network, now)


def step(net: Net, aux: bool, pictures: int, per_second: float, link: Link, processes: int) -> Step:
    """A step of `pictures` in each of `processes`, where one alone trains `per_second` pictures a second."""
    rows = rows_backward(net, aux)
    whole = pictures / per_second
    macs = sum(row.macs for row in rows)
    backward = [whole * (PASSES - 1) / PASSES * row.macs / macs for row in rows]
    gradients = [row.gradients for row in rows]
    return simulate(whole / PASSES, backward, gradients, lambda size: link.all_reduce(size, processes))


def pictures_per_second(net: Net, aux: bool, peak: float, share: float) -> float:
    """Training pictures a second of a processor that reaches `share` of `peak` operations a second. A multiply-add is two
    operations."""
    return share * peak / (PASSES * 2 * sum(row.macs for row in rows_backward(net, aux)))
