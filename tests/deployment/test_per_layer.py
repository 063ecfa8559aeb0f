"""The time of each layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inceptorch.deployment.per_layer import layer_times
from inceptorch.errors import EngineError
from inceptorch.inference.engines import ENGINES, open_engine
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of

HEAVY = NetworkSpec(
    "heavy",
    title="one layer does nearly all the work",
    source="these tests",
    size=64,
    body={"first": Conv(16, 1), "work": Conv(256, 7), "last": Conv(4, 1)},
    head={"avgpool": GlobalAverage()},
)


@pytest.mark.parametrize("name", ENGINES)
def test_the_layer_that_does_the_work_takes_the_time(name: str, tmp_path: Path) -> None:
    classifier_of(HEAVY).save(tmp_path / "heavy")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other take any time on a machine with other work
    try:
        times = layer_times(open_engine(tmp_path / "heavy", name, "fp32"))
    finally:
        torch.set_num_threads(threads)
    found = {each.layer: each for each in times}
    counted = count_complexity(HEAVY, num_classes=7)
    assert [each.layer for each in times if not each.layer.startswith("(")] == [layer.name for layer in counted.layers]
    assert {each.layer: each.macs for each in times if each.macs} == {
        layer.name: layer.macs for layer in counted.layers if layer.macs
    }
    assert sum(each.fraction for each in times) == pytest.approx(1)
    assert sum(each.macs_fraction for each in times) == pytest.approx(1)
    assert found["work"].ms == max(each.ms for each in times)
    assert found["first"].ms > 0
    assert found["last"].ms > 0


def test_a_detectors_layers_are_not_timed(detector: Path) -> None:
    with pytest.raises(EngineError, match="Cannot time the layers of a detector"):
        layer_times(open_engine(detector, "onnxruntime"))
