"""The page of units."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.units import page as page_module
from inceptorch.units.clusters import average_linkage
from inceptorch.units.measure import LayerUnits, measure_units
from inceptorch.units.page import page
from inceptorch.units.statistics import LayerSums
from inceptorch.units.top_images import TopImages
from tests.helpers import ParsedPage


def test_layers_likeness_and_pairs(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder, against=planted_units)
    html = page(found, "runs/<one>", "photos", "runs/two")
    parsed = ParsedPage(html)
    assert "<script" not in html
    assert "Units of runs/<one>" in parsed.text
    assert "Likeness of the layers of runs/<one> to those of runs/two" in parsed.text
    assert "conv1:2" in parsed.text
    assert "conv1:5" in parsed.text
    assert html.count('class="matrix"') == 2
    assert "Dead: 6" in parsed.text
    assert "Few images" not in parsed.text


def test_a_unit_begins_the_page_of_its_layer(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder, layer="conv1")
    text = ParsedPage(page(found, "m", "d", unit=2)).text
    assert "Unit conv1:2" in text
    assert "Likeness" not in text  # of one layer to itself
    assert "never active" in ParsedPage(page(found, "m", "d", unit=6)).text


def test_images_that_are_gone_are_named(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder)
    for file in folder.iterdir():
        file.unlink()
    html = page(found, "m", "d")
    assert "data:image/jpeg" not in html
    assert str(folder) in ParsedPage(html).text


def units_of(maps: torch.Tensor) -> LayerUnits:
    sums = LayerSums(maps.shape[1])
    sums.add(maps)
    return LayerUnits("layer", 0.5, sums.finish(), TopImages(maps.shape[1]))


def test_the_matrix_is_sorted_by_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(200, 6, 1, 1, generator=generator)
    maps[:, 5] = maps[:, 0]
    maps[:, 3] = 0
    drawn: list[Image.Image] = []
    monkeypatch.setattr(page_module, "data_uri", lambda image, kind: drawn.append(image))
    page_module._matrix(units_of(maps))
    shades = np.asarray(drawn[0])[:: 420 // 5, :: 420 // 5]
    assert shades.shape == (5, 5)  # without the unit that is constant
    assert shades[:2, :2].tolist() == [[31, 31], [31, 31]]
    assert (shades[:2, 2:] < 12).all()
    assert len(drawn[0].info["transparency"]) == 32


def test_a_layer_of_one_varying_unit_has_no_matrix() -> None:
    maps = torch.zeros(20, 3, 1, 1)
    assert page_module._matrix(units_of(maps)) is None
    maps[:, 1, 0, 0] = torch.arange(20)
    assert page_module._matrix(units_of(maps)) is None


def test_pairs_hold_every_unit_once() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(100, 5, 1, 1, generator=generator)
    maps[:, 4] = maps[:, 1] + 0.1 * maps[:, 0]
    maps[:, 3] = -maps[:, 1] + 0.2 * maps[:, 2]
    layer = units_of(maps)
    pairs = page_module._alike(layer, 6)
    assert pairs[0] == (1, 4)
    assert len({unit for pair in pairs for unit in pair}) == 2 * len(pairs) == 4
    assert average_linkage(layer.statistics.correlation).pairs[0].tolist() == [1, 4]
