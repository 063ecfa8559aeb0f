"""Layers by what the principles speak of."""

import pytest

from inceptorch.networks.zoo import NETS
from inceptorch.papers.principles import grid, layers
from inceptorch.papers.quantities import CountedNet


def test_volume_field_and_windows_of_googlenet() -> None:
    found = {each["name"]: each for each in layers(CountedNet(NETS["googlenet"]))}
    assert list(found) == [*NETS["googlenet"].body, "avgpool", "dropout", "linear"]
    assert found["4a"] == {
        "name": "4a", "output": "14x14x512", "volume": 14 * 14 * 512, "kept": pytest.approx(512 / 480),
        "receptive_field": "171x171", "stride": 16, "spatial": (208 + 48) / 512,
    }  # fmt: skip
    # Counted by hand from Table 1: the widths of 3x3 and 5x5 by those of all four branches.
    shares = [each["spatial"] for each in found.values() if each["spatial"]]
    assert shares == pytest.approx([0.625, 0.6, 0.5, 0.5625, 0.625, 0.6667, 0.5385, 0.5385, 0.5], abs=1e-4)


def test_pooling_that_passes_on_channels_is_no_window() -> None:
    found = {each["name"]: each["spatial"] for each in layers(CountedNet(NETS["inception_v3"]))}
    assert found["6a"] == (384 + 96) / 768
    assert found["7c"] == 4 * 384 / 2048
    assert layers(CountedNet(NETS["inception_resnet_v2"]))[-5]["spatial"] is None  # a sum has no branches of its own


def test_the_grid_has_a_line_for_each_layer() -> None:
    head, *lines = grid(CountedNet(NETS["vgg16"]))
    assert head[:3] == ["layer", "output", "volume"]
    assert lines[1] == ["pool1", "112x112x64", "802,816", "25", "6x6", "2", ""]
