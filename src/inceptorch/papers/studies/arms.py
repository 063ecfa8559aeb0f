"""The arms of the studies of ideas: one fast network for small images, changed by rules, at equal multiply-adds.

Each rule works on whatever network `BASE` names: on its modules with branches, and on the pooling between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace

from inceptorch.networks.complexity import count_complexity, layer_costs
from inceptorch.networks.layers import Conv, Fork, Layer, Pool, walk
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import NETS

BASE, WIDTH = "googlenet_tiny", 0.5  # the network's name, and the factor on its widths
CLASSES = 10  # of the count of multiply-adds, to which they hardly matter
FACTORS = range(20, 4000, 2)  # on widths, in thousandths
LAST = len(FACTORS) - 1
EQUAL = 0.03  # how far multiply-adds that are called equal may differ

Branch = tuple[Layer, ...]
Body = dict[str, Layer]


def base(size: int) -> NetworkSpec:
    """The network that all arms are changes of, for images of `size` pixels."""
    return narrowed(replace(NETS[BASE], size=size, aux=(), aux_head=None), WIDTH)


def changed(what: str, change: Callable[[NetworkSpec], Body]) -> Callable[[int], NetworkSpec]:
    """The base with another body and the multiply-adds of the base."""

    def net(size: int) -> NetworkSpec:
        plain = base(size)
        name = f"{plain.name}_{what.replace(' ', '_')}"
        return of_equal_cost(replace(plain, name=name, title=f"{plain.name}, {what}", body=change(plain)), macs(plain))

    return net


def macs(net: NetworkSpec) -> int:
    return count_complexity(net, num_classes=CLASSES).macs


def of_equal_cost(net: NetworkSpec, cost: int) -> NetworkSpec:
    """`net` with its widths times one factor, so that it has `cost` multiply-adds, or about."""

    # Widths that are multiples of 8 are the fastest; where they are too coarse, finer ones. Cost grows with the factor.
    for multiple in (8, 4, 2, 1):
        found = _nearest(net, cost, multiple)
        if abs(macs(found) / cost - 1) <= EQUAL:
            break
    return found


def modules_by_grid(net: NetworkSpec) -> list[list[str]]:
    """The names of the modules with branches, those on one size of map together, from the first on."""
    grids: dict[int, list[str]] = {}
    for cost in layer_costs(net, (3, net.size, net.size), CLASSES):
        if isinstance(net.body.get(cost.name), Fork):
            grids.setdefault(cost.output[1], []).append(cost.name)
    return list(grids.values())


def asymmetric(grid: int) -> Callable[[NetworkSpec], Body]:
    """n x 1 and then 1 x n for every n x n of the modules on that grid, 0 being the first."""

    def split(branch: Branch) -> Branch:
        parts: list[Layer] = []
        for part in branch:
            if isinstance(part, Conv) and isinstance(part.kernel, int) and part.kernel > 1 and part.stride == 1:
                parts += [replace(part, kernel=(part.kernel, 1)), replace(part, kernel=(1, part.kernel))]
            else:
                parts.append(part)
        return tuple(parts)

    return lambda net: {
        name: _with_branches(layer, split) if name in modules_by_grid(net)[grid] else layer
        for name, layer in net.body.items()
    }


def without_reductions(net: NetworkSpec) -> Body:
    """No 1x1 before the larger windows of a module; the one behind pooling stays."""

    def bare(branch: Branch) -> Branch:
        return branch[1:] if _is_1x1(branch[0]) and len(branch) > 1 else branch

    return {name: _with_branches(layer, bare) for name, layer in net.body.items()}


def module_first(net: NetworkSpec) -> Body:
    """Every pooling between modules behind the module that followed it: Figure 9, right."""
    order = list(net.body)
    for pool, module in _reductions(net):
        at = order.index(pool)
        order[at : at + 2] = [module, pool]
    return {name: net.body[name] for name in order}


def parallel(net: NetworkSpec) -> Body:
    """Every pooling between modules beside the strided convolutions of the module that followed it: Figure 10."""
    body = dict(net.body)
    for pool, module in _reductions(net):
        fork = body[module]
        assert isinstance(fork, Fork)
        body[module] = Fork(*(branch for each in fork.branches if (branch := _strided(_chain(each)))))
        del body[pool]
    return body


def wide(net: NetworkSpec) -> Body:
    """One module on each grid, the last."""
    kept = {names[-1] for names in modules_by_grid(net)}
    return {name: layer for name, layer in net.body.items() if not isinstance(layer, Fork) or name in kept}


def deep(net: NetworkSpec) -> Body:
    """Every module twice in sequence."""
    body: Body = {}
    for name, layer in net.body.items():
        body[name] = layer
        if isinstance(layer, Fork):
            body[f"{name}_again"] = layer
    return body


def _nearest(net: NetworkSpec, cost: int, multiple: int) -> NetworkSpec:
    """Of the networks with widths that are multiples, the one whose multiply-adds are nearest to `cost`."""

    def at(index: int) -> NetworkSpec:
        return narrowed(net, FACTORS[index] / 1000, multiple)

    def first(least: int) -> int:
        """The first factor that costs `least` or more."""
        return min(bisect_left(FACTORS, least, key=lambda each: macs(narrowed(net, each / 1000, multiple))), LAST)

    above = first(cost)
    nearest = min((macs(at(index)) for index in (max(0, above - 1), above)), key=lambda each: abs(each - cost))
    return at(first(nearest))


def _reductions(net: NetworkSpec) -> Iterator[tuple[str, str]]:
    """The names of pooling layers between modules, each with that of the module behind it."""
    rows = list(net.body.items())
    for (_, before), (pool, layer), (module, after) in zip(rows, rows[1:], rows[2:], strict=False):
        if isinstance(before, Fork) and isinstance(layer, Pool) and isinstance(after, Fork):
            yield pool, module


def _strided(branch: Branch) -> Branch:
    """The branch of a module with stride 2: pooling passes its channels on, a lone 1x1 goes."""
    if any(isinstance(part, Pool) for part in walk(branch)):
        return (Pool("max", 3, 2),)
    *before, last = branch
    return (*before, replace(last, stride=2)) if isinstance(last, Conv) and not _is_1x1(last) else ()


def _with_branches(layer: Layer, change: Callable[[Branch], Branch]) -> Layer:
    """A module with `change` applied to its branches; other layers as they are."""
    return Fork(*(change(_chain(each)) for each in layer.branches)) if isinstance(layer, Fork) else layer


def _chain(branch: Layer) -> Branch:
    return branch if isinstance(branch, tuple) else (branch,)


def _is_1x1(layer: Layer) -> bool:
    return isinstance(layer, Conv) and layer.window_size == (1, 1)
