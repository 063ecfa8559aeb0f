"""The peak of a processor."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from inceptorch.deployment import peak


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_peak_is_that_of_a_processor(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SECONDS", 0.05)
    found = peak.peak(precision)
    assert found is not None
    assert 1e8 < found < 1e15


def test_either_library_gives_a_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SECONDS", 0.01)
    for missing, precision, known in (
        ({"openvino"}, "bf16", True),
        ({"torch"}, "bf16", True),
        ({"torch", "openvino"}, "bf16", False),
        ({"torch", "openvino"}, "fp32", True),
    ):
        monkeypatch.setattr(
            peak, "find_spec", lambda name, missing=missing: None if name in missing else find_spec(name)
        )
        assert (peak.peak(precision) is not None) == known
