"""Which channels go: in what order, and how many of each layer for a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.shrink.channels import ChannelGraph, Site
from inceptorch.shrink.statistics import Doubles, Moments

Method = Literal["correlation", "l1", "taylor", "random"]
RIDGE = 1e-8  # of the mean square of a site's channels, added to each
SLACK = 0.8  # of the budget, down to which the order goes on, as widths are rounded

Keep = dict[str, NDArray[np.int64]]  # the channels of each layer that stay


class Importance(Protocol):
    """What is lost by each channel of a layer [C], as things stand; infinite for those that are gone."""

    def scores(self, at: str) -> Doubles: ...
    def drop(self, at: str, channel: int) -> Iterable[str]:
        """Take a channel out. Returns the layers whose scores that changes."""
        ...


@dataclass
class Fixed:
    """Scores that do not depend on what else is gone."""

    values: dict[str, Doubles]

    def scores(self, at: str) -> Doubles:
        return self.values[at]

    def drop(self, at: str, channel: int) -> Iterable[str]:
        self.values[at][channel] = np.inf
        return (at,)


class _SiteError:
    """The error of a site's readers when one channel after the other goes and the others take its place by least
    squares, as the optimal brain surgeon has it (Hassibi and Stork, 1993).

    inverse  of the channels' mean products [C, C]
    readers  the readers' weights times themselves [C, C], summed over outputs and places of the window, each reader's
             scaled so that its output has variance 1
    """

    def __init__(self, gram: Doubles, readers: Doubles):
        self.inverse = torch.from_numpy(np.linalg.inv(gram + ridge(gram)))
        self.readers = torch.from_numpy(readers)

    def errors(self, places: slice) -> Doubles:
        read, left = self.readers.diagonal()[places], self.inverse.diagonal()[places]
        errors: Doubles = (read.clamp(min=0) / left.clamp(min=1e-300)).numpy()
        return errors

    def drop(self, channel: int) -> None:
        pivot = float(self.inverse[channel, channel])
        row = self.inverse[channel] / pivot
        moved = self.readers[channel] - 0.5 * self.readers[channel, channel] * row
        self.readers.addr_(row, moved, alpha=-1)  # in place: half a minute's work for numpy's outer products
        self.readers.addr_(moved, row, alpha=-1)
        self.inverse.addr_(row, row, alpha=-pivot)


class Correlation:
    """What the readers of a channel lose when the channels that stay take its place: the part of the variance of their
    outputs that these do not explain, summed over readers."""

    def __init__(self, graph: ChannelGraph, moments: Mapping[str, Moments], tensors: Mapping[str, Doubles]):
        self.gone = {at: np.zeros(graph.units[at].out, bool) for at in graph.prunable}
        self.at_sites: dict[str, list[tuple[str, slice]]] = {at: [] for at in graph.prunable}
        self.errors: dict[str, _SiteError] = {}
        self.neighbors: dict[str, set[str]] = {}
        for site in graph.sites:
            if site.at not in moments:
                continue
            gram = moments[site.at].gram(site.intercept)
            self.errors[site.at] = _SiteError(gram, _readers(graph, site, gram, tensors))
            self.neighbors[site.at] = {source for source, _ in site.sources if source in self.gone}
            for source, places in site.segments():
                if source in self.gone:
                    self.at_sites[source].append((site.at, places))

    def scores(self, at: str) -> Doubles:
        total = sum((self.errors[site].errors(places) for site, places in self.at_sites[at]), np.zeros(1))
        scores: Doubles = np.where(self.gone[at], np.inf, total)
        return scores

    def drop(self, at: str, channel: int) -> Iterable[str]:
        self.gone[at][channel] = True
        changed = {at}
        for site, places in self.at_sites[at]:
            self.errors[site].drop(places.start + channel)
            changed |= self.neighbors[site]
        return changed


def _readers(graph: ChannelGraph, site: Site, gram: Doubles, tensors: Mapping[str, Doubles]) -> Doubles:
    total = np.zeros_like(gram)
    for unit in graph.readers(site):
        weight = tensors[unit.weight].reshape(unit.out, site.width, -1).swapaxes(0, 1).reshape(site.width, -1)
        products = weight @ weight.T
        energy = float((products * gram).sum())
        total += products / (energy or 1.0)
    return total


def ridge(gram: Doubles) -> Doubles:
    """What is added to mean products so that they have an inverse."""
    scale = float(np.trace(gram)) / len(gram)
    diagonal: Doubles = np.eye(len(gram)) * (RIDGE * scale or 1.0)
    return diagonal


def by_rank(scores: Mapping[str, Doubles]) -> Fixed:
    """Scores by which every layer loses the same fraction: the rank of each channel in its layer."""
    return Fixed({at: (values.argsort().argsort() + 1.0) / len(values) for at, values in scores.items()})


def l1_norms(graph: ChannelGraph, tensors: Mapping[str, Doubles]) -> dict[str, Doubles]:
    """The sum of the absolute weights of each filter (arXiv:1608.08710), by layer."""
    return {
        at: np.abs(tensors[graph.units[at].weight]).reshape(graph.units[at].out, -1).sum(1) for at in graph.prunable
    }


def random_scores(graph: ChannelGraph, seed: int) -> dict[str, Doubles]:
    random = np.random.default_rng(seed)
    return {at: random.random(graph.units[at].out) for at in graph.prunable}


@dataclass(frozen=True)
class Order:
    """Channels in the order in which they go, each a layer's path with its number."""

    graph: ChannelGraph
    dropped: list[tuple[str, int]]

    def keep(self, macs: float) -> Keep:
        """The channels that stay for at most `macs` multiply-adds for one image: by the order, then with widths
        rounded to multiples of `ChannelGraph.step`."""
        graph, widths = self.graph, self.graph.widths()
        for at, _ in self.dropped:
            if graph.macs(widths) <= macs:
                break
            widths[at] -= 1
        by_layer, rounded = self._by_layer(), dict[str, int]()
        for at, width in widths.items():
            step, out = graph.step(at), graph.units[at].out
            fewest = max(graph.floor(at), out - len(by_layer[at]))  # of which the order says which they are
            rounded[at] = min(max(fewest, step * round(width / step)), out)
        while graph.macs(rounded) > macs:  # those that gained most by rounding give it back
            able = [at for at in rounded if graph.units[at].out - rounded[at] + graph.step(at) <= len(by_layer[at])]
            most = max(able or rounded, key=lambda at: (rounded[at] - widths[at]) / graph.units[at].out)
            rounded[most] = rounded[most] - graph.step(most) if able else widths[most]  # which fits in any case
        return {
            at: np.setdiff1d(np.arange(graph.units[at].out), by_layer[at][: graph.units[at].out - width])
            for at, width in rounded.items()
        }

    def _by_layer(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {at: [] for at in self.graph.prunable}
        for at, channel in self.dropped:
            found[at].append(channel)
        return found


def order(graph: ChannelGraph, importance: Importance, macs: float, per_mac: bool) -> Order:
    """The order in which channels go, down to below `macs` multiply-adds: always the one that loses least, or with
    `per_mac` least for each multiply-add that it saves."""
    widths, floors = graph.widths(), {at: graph.floor(at) for at in graph.prunable}
    savings, least = _Savings(graph), dict[str, tuple[float, int]]()
    dropped: list[tuple[str, int]] = []
    total, changed = graph.macs(widths), set(graph.prunable)
    saved = {at: savings.of(at, widths) for at in widths}
    able = {at for at in widths if widths[at] > floors[at]}
    while total > SLACK * macs and able:
        for at in changed & able:
            scores = importance.scores(at)
            channel = int(scores.argmin())
            least[at] = float(scores[channel]) / (saved[at] if per_mac else 1), channel
        at = min(able, key=lambda at: (least[at][0], at))
        channel = least[at][1]
        widths[at] -= 1
        total -= saved[at]
        dropped.append((at, channel))
        nearby = savings.neighbors[at]
        saved |= {near: savings.of(near, widths) for near in nearby}
        changed = {at, *importance.drop(at, channel), *nearby}
        if widths[at] == floors[at]:
            able.remove(at)
    return Order(graph, dropped)


class _Savings:
    """Multiply-adds that a layer's next channel saves: its own, and those of the layers that read it. `neighbors` of a
    layer are those for which its width matters to that."""

    def __init__(self, graph: ChannelGraph):
        self.graph = graph
        self.readers: dict[str, list[tuple[str, int]]] = {at: [] for at in graph.prunable}
        self.neighbors: dict[str, set[str]] = {at: set() for at in graph.prunable}
        for unit in graph.units.values():
            sources = {source for source, _ in unit.site.sources if source in self.readers}
            for source in sources:
                self.readers[source].append((unit.at, unit.macs))
            if unit.at in self.neighbors:
                self.neighbors[unit.at] |= sources
                for source in sources:
                    self.neighbors[source].add(unit.at)

    def of(self, at: str, widths: Mapping[str, int]) -> int:
        unit = self.graph.units[at]
        own = unit.macs * sum(widths.get(source, width) for source, width in unit.site.sources)
        return own + sum(macs * widths.get(to, self.graph.units[to].out) for to, macs in self.readers[at])
