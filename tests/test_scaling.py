"""The simulated step behaves as its rules say."""

import json
from dataclasses import replace

import pytest

from bench.common import RESULTS
from bench.simulate import BUCKET, FIRST_BUCKET, Link, buckets, pictures_per_second, rows_backward, simulate, step
from inceptorch.costs import cost
from inceptorch.nets import net

LINK = Link("a test's", bandwidth=1e9, latency=1e-5)


def test_a_ring_moves_twice_all_but_one_share() -> None:
    free = replace(LINK, latency=0.0)
    assert free.all_reduce(1e9, 2) == pytest.approx(1.0)
    assert free.all_reduce(1e9, 8) == pytest.approx(2 * 7 / 8)
    assert LINK.all_reduce(0, 8) == pytest.approx(14e-5)
    assert LINK.all_reduce(1e9, 1) == 0


@pytest.mark.parametrize("name", ["googlenet_bn", "inception_v3", "inception_v4"])
def test_all_gradients_are_sent_once(name: str) -> None:
    rows = rows_backward(net(name), aux=True)
    assert sum(row.gradients for row in rows) == 4 * cost(name).params_with_aux
    filled = buckets([row.gradients for row in rows])
    assert [index for bucket in filled for index in bucket] == list(range(len(rows)))
    assert rows[0].gradients == 4 * 1000 * (cost(name).rows[-3].output[0] + 1)  # the classifier's come first
    without = rows_backward(net(name), aux=False)
    assert sum(row.macs for row in without) == cost(name).macs


def test_a_bucket_closes_when_it_is_full() -> None:
    assert buckets([FIRST_BUCKET - 1, 1, BUCKET - 1, 1, 5]) == [[0, 1], [2, 3], [4]]
    assert buckets([1, 1]) == [[0, 1]]


def test_a_bucket_waits_for_its_rows_and_for_the_link() -> None:
    # Two rows of a second, each a bucket; the link takes three seconds for each, so the second waits until 1 + 1 + 3.
    result = simulate(1.0, [1.0, 1.0], [BUCKET, BUCKET], lambda size: 3.0)
    assert (result.network, result.link, result.exposed, result.seconds) == (3.0, 6.0, 5.0, 8.0)
    # A quick link is idle between them, and only the last bucket is seen.
    result = simulate(1.0, [1.0, 1.0], [BUCKET, BUCKET], lambda size: 0.25)
    assert (result.network, result.link, result.exposed, result.seconds) == (3.0, 0.5, 0.25, 3.25)


def test_one_process_sends_nothing_and_a_wide_link_costs_nothing() -> None:
    about = (net("inception_v3"), True, 32, 1000.0)
    assert step(*about, LINK, 1).seconds == pytest.approx(0.032)
    assert step(*about, Link("wide", 1e15, 0.0), 64).seconds == pytest.approx(0.032)
    assert step(*about, LINK, 64).exposed > step(*about, LINK, 8).exposed > 0
    assert step(*about, Link("narrow", 1e6, 0.0), 8).seconds > 100  # 109 MB by 1 MB a second, nearly twice


def test_throughput_is_what_the_multiply_adds_allow() -> None:
    whole = pictures_per_second(net("googlenet_bn"), False, peak=6 * 1.582671872e9, share=1.0)
    assert whole == pytest.approx(1.0)
    assert pictures_per_second(net("googlenet_bn"), False, 1e12, 0.5) < pictures_per_second(net("nin"), False, 1e12, 1)


def test_the_results_hold_together() -> None:
    """What is written of one GPU needs no link, and more pictures a step make the link count for less."""
    points = json.loads((RESULTS / "scaling.json").read_text())["simulated"]["efficiency"]
    assert {point["efficiency"] for point in points if point["gpus"] == 1} == {1.0}
    few, many = ([point["efficiency"] for point in points if point["pictures"] == pictures] for pictures in (32, 128))
    assert all(one <= other for one, other in zip(few, many, strict=True))
