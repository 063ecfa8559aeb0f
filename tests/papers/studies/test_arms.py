"""The arms of the studies of ideas: what each changes, and that all cost the same."""

import pytest

from inceptorch.networks.complexity import layer_costs
from inceptorch.networks.layers import Conv, Fork, Pool, walk
from inceptorch.networks.network import NetworkSpec
from inceptorch.papers.studies import STUDIES
from inceptorch.papers.studies.arms import base, macs, modules_by_grid
from inceptorch.papers.studies.networks import NETWORKS

EQUAL_COST = ("asymmetric", "grid-reduction", "width-or-depth", "embedding")


def arm(study: str, name: str, size: int = 32) -> NetworkSpec:
    return next(each.net(size) for each in STUDIES[study].arms if each.name == name)


def kernels(net: NetworkSpec, *names: str) -> set[object]:
    return {part.kernel for name in names for part in walk(net.body[name]) if isinstance(part, Conv)}


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("study", EQUAL_COST)
def test_arms_that_are_compared_at_equal_cost_have_it(study: str, size: int) -> None:
    for each in STUDIES[study].arms:
        assert macs(each.net(size)) == pytest.approx(macs(base(size)), rel=0.03), each.name


def test_asymmetric_windows_stand_on_one_grid_only() -> None:
    first, middle, last = modules_by_grid(base(32))
    early, late = arm("asymmetric", "early"), arm("asymmetric", "middle")
    assert kernels(early, *first) == {1, (3, 1), (1, 3), (5, 1), (1, 5)}
    assert kernels(early, *middle, *last) == {1, 3, 5} == kernels(late, *first, *last)
    assert kernels(late, *middle) == kernels(early, *first)


def test_grids_are_reduced_before_behind_and_in_a_module() -> None:
    order = list(arm("grid-reduction", "module-first").body)
    assert order[order.index("3b") :][:3] == ["3b", "4a", "pool3"]
    parallel = arm("grid-reduction", "parallel")
    assert "pool3" not in parallel.body
    module = parallel.body["4a"]
    assert isinstance(module, Fork)
    strides = [[part.stride for part in walk(each) if isinstance(part, Conv | Pool)] for each in module.branches]
    assert strides == [[1, 2], [1, 2], [2]]
    for each in STUDIES["grid-reduction"].arms:
        assert layer_costs(each.net(32), (3, 32, 32), 10)[len(each.net(32).body) - 1].output[1:] == (4, 4)


def test_width_and_depth() -> None:
    counts = {
        each.name: [len(names) for names in modules_by_grid(each.net(32))] for each in STUDIES["width-or-depth"].arms
    }
    assert counts == {"balanced": [2, 5, 2], "wide": [1, 1, 1], "deep": [4, 10, 4]}


def test_only_reductions_before_windows_go() -> None:
    module = arm("embedding", "none").body["4a"]
    assert isinstance(module, Fork)
    shapes = [[type(part).__name__ for part in walk(branch)] for branch in module.branches]
    assert shapes == [["Conv"], ["Conv"], ["Conv"], ["Pool", "Conv"]]


def test_the_plain_network_has_no_batch_norm_and_heads_where_they_are_named() -> None:
    heads = {each.name: each.net(32).aux for each in STUDIES["aux-heads-plain"].arms}
    assert heads == {"none": (), "both": ("4a", "4d"), "lower": ("4a",), "upper": ("4d",)}
    assert all(NETWORKS[name](32).norm is None for name in NETWORKS if name.startswith("plain"))
