"""The walk over the table: who reads what, and what stays."""

from dataclasses import replace

import pytest

from inceptorch.errors import TableError
from inceptorch.networks import serialization
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, GlobalAverage, SeparableConv
from inceptorch.networks.layers.base import BaseLayer
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.shrink.channels import ChannelGraph, channel_graph, with_widths
from tests.shrink.helpers import MIXED


def graph(net: NetworkSpec) -> ChannelGraph:
    return channel_graph(net, (3, net.size, net.size), 10)


@pytest.mark.parametrize("name", NETS)
def test_multiply_adds_are_those_of_the_table_whole_and_at_half_width(name: str) -> None:
    net = NETS[name]
    found = graph(net)
    half = {at: max(found.floor(at), found.units[at].out // 2) for at in found.prunable}
    assert found.macs({}) == count_complexity(net, num_classes=10).macs
    smaller = with_widths(net, half)
    assert found.macs(half) == count_complexity(smaller, num_classes=10).macs < found.macs({})
    assert serialization.from_plain(serialization.to_plain(smaller)) == smaller
    assert smaller.aux == ()


def test_every_branch_reads_what_comes_into_a_fork() -> None:
    found = graph(NETS["googlenet"])
    into_3b = [unit.at for unit in found.units.values() if ("body.3a.0", 64) in unit.site.sources]
    assert into_3b == ["body.3b.0", "body.3b.1.0", "body.3b.2.0", "body.3b.3.1"]
    sites = {found.units[at].site.at for at in into_3b}
    assert sites == {"body.3b", "body.3b.3.1"}  # behind the pool they are other values
    assert found.units["head.linear"].site.at == "head.avgpool"  # an average of sums is the sum of averages
    assert not found.units["body.3a.1.1"].site.intercept  # zeros pad what the 3x3 reads
    assert found.units["body.3b.0"].site.intercept


def test_what_a_sum_ties_together_stays() -> None:
    found = graph(MIXED)
    assert set(found.units) - set(found.prunable) == {"body.valid", "body.add.layer.1", "head.linear"}
    assert "body.conv1" in found.prunable
    assert found.units["body.valid"].site.sources == (
        ("body.mix.0", 8), ("body.mix.1.1", 12), ("body.mix.2.1", 8), ("body.mix.3.1", 6), ("body.conv1", 12),
    )  # fmt: skip


def test_groups_and_separable_convolutions_keep_what_they_read() -> None:
    body = {"a": Conv(16, 3), "b": Conv(16, 3, groups=2), "c": Conv(16), "d": SeparableConv(16, 3), "e": Conv(16)}
    net = replace(MIXED, body=body, aux=(), aux_head=None)
    assert graph(net).prunable == ["body.d", "body.e"]


def test_widths_are_multiples_of_eight_where_layers_are_wide() -> None:
    found = graph(NETS["googlenet"])
    assert [found.step(at) for at in ("body.conv1", "body.3a.2.0", "body.3a.3.1")] == [8, 1, 4]
    assert [found.floor(at) for at in ("body.conv1", "body.3a.2.0", "body.4a.0")] == [8, 2, 24]


def test_a_kind_of_layer_that_nobody_knows_is_refused() -> None:
    class Unknown(BaseLayer):
        key = "unknown"

    net = replace(MIXED, body={"a": Conv(8), "b": Unknown()}, head={"avgpool": GlobalAverage()}, aux=(), aux_head=None)
    with pytest.raises(TableError, match=r"Cannot shrink layer body\.b: what a unknown does"):
        graph(net)
