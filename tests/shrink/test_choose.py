"""Budgets, and the search for those that no sum gives."""

from pathlib import Path

import pytest

from inceptorch.errors import RunError
from inceptorch.shrink import choose as choosing
from inceptorch.shrink.choose import Budget, Criterion, choose
from tests.helpers import classifier_of
from tests.shrink.helpers import MIXED, QUIET, images


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"Cannot shrink without one budget\. Give --cost, --ms or --mb"),
        ({"cost": 0.5, "ms": 3}, r"Cannot shrink without one budget"),
        ({"cost": 1.0}, r"Cannot shrink to 1: --cost is a fraction above 0 and below 1\. Try --cost 0\.5\."),
        ({"cost": 0.0}, r"Cannot shrink to 0: --cost"),
        ({"cost": float("nan")}, r"Cannot shrink to nan: --cost"),
        ({"ms": -1.0}, r"Cannot shrink to -1: --ms is a number above 0\."),
        ({"mb": float("inf")}, r"Cannot shrink to inf: --mb"),
    ],
)
def test_a_budget_is_one_number_in_its_bounds(values: dict[str, float], message: str) -> None:
    with pytest.raises(RunError, match=message):
        Budget(**values)


def test_a_criterion_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RunError, match=r"Cannot choose channels by 'l2': known are: correlation, l1"):
        Criterion("l2")


@pytest.mark.parametrize("by", ["correlation", "l1", "taylor", "random"])
def test_what_is_chosen_keeps_the_budget(by: str, tmp_path: Path) -> None:
    classifier, data = classifier_of(MIXED), images(12)
    chosen = choose(classifier, data, Budget(cost=0.5), Criterion(by), tmp_path, data.images[:2], QUIET)  # type: ignore[attr-defined]
    macs = chosen.graph.macs({at: len(kept) for at, kept in chosen.keep.items()})
    assert 0.4 < macs / chosen.graph.macs({}) <= 0.5
    assert (chosen.moments is not None) == (by == "correlation")  # the others delete
    assert chosen.cut().model.net.name.startswith("mixed_shrunk")


def test_less_than_can_be_left_is_refused_with_what_can(tmp_path: Path) -> None:
    classifier, data = classifier_of(MIXED), images(12)
    with pytest.raises(RunError, match=r"Cannot shrink to 0\.001: .* at least 0\.\d+ stay\. Try --cost 0\.\d+\."):
        choose(classifier, data, Budget(cost=0.001), Criterion("l1"), tmp_path, data.images[:2], QUIET)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_nncf")
def test_a_size_in_megabytes_is_kept(tmp_path: Path) -> None:
    classifier, data = classifier_of(MIXED), images(12)
    classifier.save(tmp_path / "bundle")
    whole = (tmp_path / "bundle" / "model.safetensors").stat().st_size / 1e6
    arguments = (Criterion("l1"), tmp_path / "bundle", data.images[:2], QUIET)  # type: ignore[attr-defined]
    choose(classifier, data, Budget(mb=0.7 * whole), *arguments).cut().save(tmp_path / "small")
    found = (tmp_path / "small" / "model.safetensors").stat().st_size / 1e6
    assert 0.5 * whole < found <= 0.7 * whole
    with pytest.raises(RunError, match=r"Cannot shrink to 9 MB: it has [\d.]+ and can have [\d.]+\."):
        choose(classifier, data, Budget(mb=9), *arguments)


def test_milliseconds_are_searched_among_measured_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock by which time is that of the multiply-adds."""
    from inceptorch.classifier.hub import load

    classifier, data = classifier_of(MIXED), images(12)
    classifier.save(tmp_path / "bundle")
    whole = classifier.config.macs
    monkeypatch.setattr(
        choosing, "fastest_fp32", lambda folder, crops: (10 * load(folder).config.macs / whole, "clock")
    )
    arguments = (Criterion("l1"), tmp_path / "bundle", data.images[:2], QUIET)  # type: ignore[attr-defined]
    found = choose(classifier, data, Budget(ms=5), *arguments).cut().config.macs / whole
    assert 0.4 < found <= 0.5
    with pytest.raises(RunError, match=r"Cannot shrink to 11 ms: it takes 10 ms on clock already"):
        choose(classifier, data, Budget(ms=11), *arguments)
    with pytest.raises(RunError, match=r"Cannot shrink to 0\.01 ms: the smallest network that was tried takes"):
        choose(classifier, data, Budget(ms=0.01), *arguments)
