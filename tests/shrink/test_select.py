"""The order in which channels go."""

import numpy as np
import pytest

from inceptorch.networks.zoo import NETS
from inceptorch.shrink.channels import channel_graph
from inceptorch.shrink.select import Correlation, Fixed, by_rank, l1_norms, order, random_scores
from inceptorch.shrink.statistics import Doubles, Moments
from tests.helpers import classifier_of
from tests.shrink.helpers import MIXED, graph_of

CLASSIFIER = classifier_of(MIXED)
GRAPH = graph_of(CLASSIFIER)


def tensors() -> dict[str, Doubles]:
    return {name: each.double().numpy() for name, each in CLASSIFIER.model.state_dict().items() if each.ndim > 1}


def random_moments(proportional: bool = False) -> dict[str, Moments]:
    """Of random maps; with `proportional`, channel 1 of every layer is 1.7 times its channel 0."""
    random, found = np.random.default_rng(0), {}
    for site in GRAPH.sites:
        x = random.random((400, site.width))
        for source, places in site.segments():
            if proportional and source:
                x[:, places.start + 1] = 1.7 * x[:, places.start]
        found[site.at] = Moments(len(x), x.sum(0), x.T @ x)
    return found


def test_channels_that_others_stand_in_for_go_first() -> None:
    importance = Correlation(GRAPH, random_moments(proportional=True), tensors())
    for at in GRAPH.prunable:
        scores = importance.scores(at)
        assert set(scores.argsort()[:2].tolist()) == {0, 1}
        assert max(scores[:2]) < 1e-4 * np.median(scores)
    changed = importance.drop("body.mix.0", 0)
    assert {"body.mix.0", "body.mix.1.1"} <= set(changed)  # they stand side by side
    scores = importance.scores("body.mix.0")
    assert np.isinf(scores[0])
    assert scores[1] > 1e-4 * np.median(scores[1:])  # nothing stands in for the one that is left


def test_errors_are_those_of_least_squares_without_the_channels_that_went() -> None:
    """The update after each drop gives what solving anew would."""
    moments = random_moments()
    importance = Correlation(GRAPH, moments, tensors())
    at, reader, gone = "body.last", GRAPH.units["head.linear"], [3, 7]
    for channel in gone:
        importance.drop(at, channel)
    gram = moments[reader.site.at].gram(centered=True)
    weight = tensors()[reader.weight]
    energy = np.trace(weight @ gram @ weight.T)

    def left(without: list[int]) -> float:
        kept, gone_now = np.setdiff1d(np.arange(20), without), np.array(without)
        inner, across = gram[kept][:, kept], gram[kept][:, gone_now]
        apart = gram[gone_now][:, gone_now] - across.T @ np.linalg.solve(inner, across)
        return float(np.trace(weight[:, gone_now] @ apart @ weight[:, gone_now].T) / energy)

    expected = left([*gone, 5]) - left(gone)
    assert importance.scores(at)[5] == pytest.approx(expected, rel=1e-3)


def test_the_order_saves_what_the_table_says_and_leaves_every_layer_some() -> None:
    whole = GRAPH.macs({})
    scores = Fixed({at: np.random.default_rng(0).random(GRAPH.units[at].out) for at in GRAPH.prunable})
    found = order(GRAPH, scores, 0.4 * whole, per_mac=True)
    assert len(set(found.dropped)) == len(found.dropped)
    for share in (0.8, 0.6, 0.4):
        keep = found.keep(share * whole)
        widths = {at: len(kept) for at, kept in keep.items()}
        assert 0.8 * share < GRAPH.macs(widths) / whole <= share
        assert all(width >= GRAPH.floor(at) and width % GRAPH.step(at) == 0 for at, width in widths.items())


@pytest.mark.parametrize("by", ["l1", "random"])
def test_ranks_take_the_same_fraction_of_every_layer(by: str) -> None:
    scores = l1_norms(GRAPH, tensors()) if by == "l1" else random_scores(GRAPH, 1)
    found = order(GRAPH, by_rank(scores), 0.5 * GRAPH.macs({}), per_mac=False)
    fractions = [len(kept) / GRAPH.units[at].out for at, kept in found.keep(0.5 * GRAPH.macs({})).items()]
    assert max(fractions) - min(fractions) < 0.2
    first = dict(reversed(found.dropped))
    assert all(channel == scores[at].argmin() for at, channel in first.items())


def test_random_scores_depend_on_the_seed_alone() -> None:
    once, again, other = random_scores(GRAPH, 1), random_scores(GRAPH, 1), random_scores(GRAPH, 2)
    assert all((once[at] == again[at]).all() for at in once)
    assert any((once[at] != other[at]).any() for at in once)


def test_a_short_order_keeps_the_budget_with_widths_that_are_not_rounded() -> None:
    graph = channel_graph(NETS["googlenet"], (3, 224, 224), 10)
    found = order(graph, by_rank(random_scores(graph, 0)), 0.9 * graph.macs({}), per_mac=False)
    for share in (0.95, 0.8, 0.73):
        widths = {at: len(kept) for at, kept in found.keep(share * graph.macs({})).items()}
        assert graph.macs(widths) <= share * graph.macs({})
