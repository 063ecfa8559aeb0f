"""The peak of a processor."""

from __future__ import annotations

import pytest

from inceptorch.deployment import peak


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_peak_is_that_of_a_processor(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "SECONDS", 0.05)
    found = peak.peak(precision)
    assert found is not None
    assert 1e8 < found < 1e15
