"""One pass over images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import BundleError, DataError, TableError
from inceptorch.inference.inputs import to_input
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, GlobalAverage, Residual
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import get_network
from inceptorch.units import measure
from inceptorch.units.measure import find_layers, find_unit, measure_units, open_network
from tests.helpers import classifier_of, detector_of


def test_planted_units_are_found(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder)
    conv1, mix = found.layers
    assert (conv1.layer, conv1.channels, mix.layer, mix.channels) == ("conv1", 8, "mix", 16)
    assert conv1.statistics.dead == [6]
    assert [2, 5] in conv1.clusters(0.9)
    assert not any(6 in cluster for cluster in conv1.clusters(0.5))
    unit, value = conv1.nearest(2)[0]
    assert unit == 5
    assert value == pytest.approx(1, abs=1e-4)
    values = conv1.to_dict()
    assert values["dead"] == 1
    assert values["clusters_90"] <= 6
    assert values["effective_rank"] < 6


def test_maps_are_those_of_the_network(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder)
    crops = [to_input(Image.open(file), planted_units.config) for file in sorted(folder.iterdir())]
    with torch.no_grad():
        x = planted_units.prepare(np.stack(crops))
        maps = planted_units.model.forward_intermediates(x, ["conv1", "mix"], intermediates_only=True)
    for layer, expected in zip(found.layers, maps, strict=True):
        assert layer.statistics.places == 24 * 7 * 7  # of 8 x 8
        assert layer.statistics.zeros == pytest.approx(float((expected == 0).double().mean()))
        best = expected.flatten(2).max(2).values[:, 3].sort(descending=True, stable=True)
        assert [each.index for each in layer.top.of(3)] == best.indices[:8].tolist()


def test_costs_are_parts_of_the_whole_network(planted_units: Classifier, folder: Path) -> None:
    counted = count_complexity(planted_units.config.network, 16, 3)
    found = measure_units(planted_units, folder)
    expected = {each.name: each.macs / counted.macs for each in counted.layers}
    assert {each.layer: each.cost for each in found.layers} == {name: expected[name] for name in ("conv1", "mix")}
    (pool,) = measure_units(planted_units, folder, layer="pool").layers
    assert (pool.layer, pool.cost) == ("pool", 0)


def test_batches_do_not_matter(planted_units: Classifier, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure_units(planted_units, folder)
    monkeypatch.setattr(measure, "BATCH_SIZE", 5)
    parts = measure_units(planted_units, folder)
    for one, two in zip(whole.layers, parts.layers, strict=True):
        np.testing.assert_allclose(one.statistics.correlation, two.statistics.correlation, atol=1e-4)
        assert one.clusters(0.7) == two.clusters(0.7)
        assert one.statistics.dead == two.statistics.dead
    assert whole.within.values is not None
    assert parts.within.values is not None
    np.testing.assert_allclose(whole.within.values, parts.within.values, atol=1e-4)


def test_likeness_to_itself_and_to_other_weights(planted_units: Classifier, tiny: NetworkSpec, folder: Path) -> None:
    torch.manual_seed(7)
    other = classifier_of(tiny, 3)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    itself = measure_units(planted_units, folder, against=planted_units)
    assert itself.against is not None
    assert itself.against.row("conv1") == pytest.approx(itself.within.row("conv1"), rel=1e-9)
    assert itself.within.row("mix")["mix"] == pytest.approx(1)
    away = measure_units(planted_units, folder, layer="mix", against=other)
    assert away.against is not None
    assert (away.against.rows, away.against.columns) == (["mix"], ["conv1", "mix"])
    value = away.against.row("mix")["mix"]
    assert value is not None
    assert value < 0.999


def test_many_images_are_compared_evenly(
    planted_units: Classifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(measure, "MAX_IMAGES", 10)
    monkeypatch.setattr(measure, "linear_cka", lambda a, b: seen.append(len(a[0])))
    found = measure_units(planted_units, folder)
    assert seen == [8]  # every third of 24
    assert found.within.row("mix") == {"conv1": None, "mix": None}


def test_images_that_cannot_be_read_are_left_out(planted_units: Classifier, folder: Path) -> None:
    (folder / "03.png").write_bytes(b"no image")
    found = measure_units(planted_units, folder)
    assert found.seen == 23
    assert [each["file"] for each in found.skipped] == [str(folder / "03.png")]
    assert {found.file(each.index) for each in found.layers[0].top.of(0)} <= {
        str(each) for each in folder.iterdir() if each.name != "03.png"
    }
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"holds no image that can be read: .*00\.png is not an image"):
        measure_units(planted_units, folder)


def test_classes_and_splits_are_read_as_images(planted_units: Classifier, images: Path) -> None:
    assert measure_units(planted_units, images).seen == 48


def test_few_places_are_named(planted_units: Classifier, folder: Path) -> None:
    found = measure_units(planted_units, folder)
    assert found.few() == []
    for file in sorted(folder.iterdir())[1:]:
        file.unlink()
    assert measure_units(classifier_of(get_network("googlenet_tiny"), 3), folder).few()[-1] == "5b"


def test_a_detectors_body(tiny: NetworkSpec, folder: Path) -> None:
    detector = detector_of(get_network("googlenet_tiny"), width=96, height=64)
    found = measure_units(detector, folder)
    costs = detector.config.detection.costs(detector.config.network, 3)  # type: ignore[union-attr]
    total = sum(cost.macs for cost in costs)
    assert found.layers[0].cost == costs[0].macs / total
    assert sum(each.cost for each in found.layers) < 1
    image = found.layers[0].top.of(found.layers[0].varying[0])[0]
    left, top, right, bottom = found.layers[0].top.box(image, *detector.config.input_size)
    assert 0 <= left < right <= 96
    assert 0 <= top < bottom <= 64
    assert found.input(image.index).shape == (64, 96, 3)


def test_a_gray_network(tiny: NetworkSpec, folder: Path) -> None:
    found = measure_units(classifier_of(tiny, 3, channels="gray"), folder)
    assert [each.layer for each in found.layers] == ["conv1", "mix"]
    assert 0 < found.layers[0].cost < 1


def test_layers_and_units_by_name(planted_units: Classifier) -> None:
    assert find_unit(planted_units, "mix") == ("mix", None)
    assert find_unit(planted_units, "mix:15") == ("mix", 15)
    assert list(find_layers(planted_units)) == ["conv1", "mix"]
    said = r"^Cannot see layer 'mox', which the body of tiny does not have: did you mean 'mix'\?$"
    with pytest.raises(TableError, match=said):
        find_unit(planted_units, "mox:1")
    for wrong in ("16", "-1", "x", ""):
        with pytest.raises(TableError, match=rf"^Cannot see unit '{wrong}' of layer mix: it has 16 units. Try 0 to 15"):
            find_unit(planted_units, f"mix:{wrong}")


def test_what_no_table_describes_is_refused(tmp_path: Path, planted_units: Classifier, folder: Path) -> None:
    file = tmp_path / "some.onnx"
    file.write_bytes(b"")
    with pytest.raises(BundleError, match=r"^Cannot see the units of .*some\.onnx: it is an exported file\."):
        open_network(file)
    custom = Classifier(planted_units.model, replace(planted_units.config, spec="some.Module"))
    with pytest.raises(BundleError, match="^Cannot do this with the custom module some.Module, which no table"):
        measure_units(custom, folder)
    planted_units.save(tmp_path / "bundle")
    assert open_network(tmp_path / "bundle").config.architecture == "tiny"


def test_layers_without_relu_are_measured(folder: Path) -> None:
    net = NetworkSpec(
        "signed", title="a sum below zero", source="these tests", size=16,
        body={"conv": Conv(6, 3, 2), "sum": Residual(Conv(6, 3, relu=False), relu=False)},
        head={"pool": GlobalAverage()},
    )  # fmt: skip
    conv, signed = measure_units(classifier_of(net, 3), folder).layers
    assert conv.statistics.zeros > 0.1
    assert signed.statistics.zeros == 0
    assert signed.statistics.dead == []
    assert not np.array_equal(conv.statistics.correlation, signed.statistics.correlation)
