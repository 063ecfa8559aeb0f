"""The smaller network: what channels stand in for leaves no trace, and the table is one like any other."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inceptorch.classifier.hub import load
from inceptorch.deployment.export import export
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import LRN, BatchNorm, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import read_table, to_yaml
from inceptorch.networks.zoo import get_network
from inceptorch.shrink.cut import cut
from inceptorch.shrink.statistics import measure_moments
from tests.helpers import classifier_of, invoke
from tests.shrink.helpers import CONNECTED, MIXED, QUIET, graph_of, images, make_proportional

NETS = {
    "normalized": MIXED,
    "biases": replace(MIXED, norm=None),
    "both": replace(MIXED, norm=BatchNorm(conv_bias=True)),
    "connected": CONNECTED,
}
LAYERS = [(name, at) for name, net in NETS.items() for at in graph_of(classifier_of(net)).prunable]


def difference(net: NetworkSpec, layers: list[str] | None = None, refit: bool = True) -> float:
    """How much logits change where channel 1 of some layers, 1.7 times channel 0, goes."""
    classifier = classifier_of(net)
    graph, data = graph_of(classifier), images(40)
    layers = layers or graph.prunable
    for at in layers:
        make_proportional(classifier, graph, at)
    keep = {at: np.delete(np.arange(graph.units[at].out), 1) for at in layers}
    moments = measure_moments(classifier, graph, data, list(range(40)), 0, QUIET) if refit else None
    crops = np.stack([data.crop(index, classifier.preprocessing) for index in range(8)])
    smaller = cut(classifier, graph, keep, moments)
    assert smaller.model.net.aux == ()
    return float((smaller.logits(crops) - classifier.logits(crops)).abs().max())


@pytest.mark.parametrize(("name", "at"), LAYERS)
def test_proportional_channels_of_one_layer_leave_no_trace(name: str, at: str) -> None:
    assert difference(NETS[name], [at]) < 1e-5


@pytest.mark.parametrize("name", NETS)
def test_proportional_channels_of_all_layers_leave_no_trace(name: str) -> None:
    assert difference(NETS[name]) < 1e-5 < 1e-2 < difference(NETS[name], refit=False)


@pytest.mark.parametrize("name", ["googlenet_tiny", "inception_resnet_v1_small"])
def test_proportional_channels_of_published_networks_leave_no_trace(name: str) -> None:
    classifier = classifier_of(get_network(name))
    graph, data = graph_of(classifier), images(24, 32)
    for at in graph.prunable:
        make_proportional(classifier, graph, at)
    keep = {at: np.delete(np.arange(graph.units[at].out), 1) for at in graph.prunable}
    moments = measure_moments(classifier, graph, data, list(range(24)), 0, QUIET)
    crops = np.stack([data.crop(index, classifier.preprocessing) for index in range(4)])
    found = cut(classifier, graph, keep, moments).logits(crops)
    assert float((found - classifier.logits(crops)).abs().max()) < 1e-5


@pytest.mark.parametrize(("alpha", "least", "most"), [(1e-5, 0.0, 1e-3), (0.5, 1e-3, np.inf)])
def test_across_response_normalization_it_is_exact_only_where_that_does_nothing(
    alpha: float, least: float, most: float
) -> None:
    """Neighbors share its sum, and other channels are neighbors then."""
    lrn = replace(CONNECTED, body={**CONNECTED.body, "lrn": LRN(alpha=alpha), "pool": Pool("max", 3, 2)})
    assert least < difference(lrn) < most


def test_a_smaller_network_is_one_like_any_other(tmp_path: Path) -> None:
    classifier = classifier_of(MIXED)
    graph = graph_of(classifier)
    keep = {at: np.arange(0, graph.units[at].out, 2) for at in graph.prunable}
    smaller = cut(classifier, graph, keep, None)
    net = smaller.config.network
    widths = {at: len(kept) for at, kept in keep.items()}
    assert net.name == f"mixed_shrunk{100 * graph.macs(widths) / graph.macs({}):.0f}"
    smaller.save(tmp_path / "bundle")
    (tmp_path / "net.yaml").write_text(to_yaml(net))
    again = load(tmp_path / "bundle")
    assert again.config.network == read_table(tmp_path / "net.yaml") == net
    counts = count_complexity(net, num_classes=7)
    assert counts.macs == graph.macs(widths)
    assert counts.params == sum(parameter.numel() for parameter in again.model.parameters())
    listed = invoke("nets", tmp_path / "net.yaml", "--json")
    assert listed.exit_code == 0, listed.output


@pytest.mark.slow
def test_a_smaller_network_is_exported_with_as_many_numbers(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    classifier = classifier_of(MIXED)
    graph = graph_of(classifier)
    smaller = cut(classifier, graph, {at: np.arange(0, graph.units[at].out, 2) for at in graph.prunable}, None)
    smaller.save(tmp_path / "bundle")
    export(tmp_path / "bundle", tmp_path / "net.onnx", progress=QUIET)
    weights = onnx.load(tmp_path / "net.onnx").graph.initializer
    kernels = sum(int(np.prod(each.dims)) for each in weights if len(each.dims) == 4 and each.dims[0] > 1)
    expected = sum(p.numel() for p in smaller.model.parameters() if p.ndim == 4)
    assert kernels == expected
    assert "torch" in sys.modules
