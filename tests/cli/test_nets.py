"""inceptorch nets."""

import json
from pathlib import Path

import pytest

from inceptorch.networks.detection import DetectionHead, default_levels
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.zoo import get_network
from tests.conftest import TINY
from tests.helpers import classifier_of, detector, invoke, sentence


def test_nets_json() -> None:
    nets = {one["name"]: one for one in json.loads(invoke("nets", "--json").stdout)}
    assert nets["googlenet"] == {
        "name": "googlenet", "source": "arXiv:1409.4842 Table 1", "size": 224, "params": 6998552, "macs": 1582671872
    }  # fmt: skip
    one = json.loads(invoke("nets", "googlenet", "--json").stdout)
    assert set(one) == {"name", "source", "size", "params", "macs", "params_with_aux", "rows"}
    assert one["params_with_aux"] == 13378280
    assert {"name": "4a", "output": [512, 14, 14], "params": 376176, "macs": 73608192} in one["rows"]


def test_nets_prints_a_table() -> None:
    lines = invoke("nets", "googlenet").stdout.splitlines()
    assert any(line.split() == ["4a", "14x14x512", "376,176", "73,608,192"] for line in lines)
    assert any(line.split() == ["total", "6,998,552", "1,582,671,872"] for line in lines)


def test_a_detectors_layers_are_those_of_its_body_and_head(tmp_path: Path) -> None:
    words = ("nets", "googlenet", "--detection", "--classes", 3, "--size", 256)
    answer = json.loads(invoke(*words, "--json").stdout)
    net = get_network("googlenet")
    costs = DetectionHead(default_levels(net), 256, 256).costs(net, 3)
    assert [row["name"] for row in answer["rows"]] == [cost.name for cost in costs]
    assert (answer["width"], answer["height"], answer["levels"]) == (256, 256, ["3b", "4e", "5b"])
    assert (answer["params"], answer["macs"]) == (sum(cost.params for cost in costs), sum(cost.macs for cost in costs))
    lines = invoke(*words).stdout.splitlines()
    assert lines[1] == "arXiv:1409.4842 Table 1; 256x256 pixels, 3 classes"
    assert [line.split()[:2] for line in lines if "edges" in line] == [["edges", "1x1344x4"]]
    assert invoke(*words, "--draw", tmp_path / "drawn.svg").exit_code == 0
    assert "feature pyramid on 5b" in (tmp_path / "drawn.svg").read_text()


def test_a_trained_detector_is_listed_and_drawn(tmp_path: Path) -> None:
    detector().save(tmp_path / "cells")
    answer = json.loads(invoke("nets", tmp_path / "cells", "--json").stdout)
    assert (answer["name"], answer["width"], answer["height"], answer["classes"]) == ("googlenet_small", 96, 64, 3)
    assert invoke("nets", tmp_path / "cells", "--draw", tmp_path / "drawn.svg").exit_code == 0
    assert "on 96x64 pixels, 3 classes" in (tmp_path / "drawn.svg").read_text()


def test_options_of_detectors_go_with_detectors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector().save(tmp_path / "cells")
    classifier_of(TINY).save(tmp_path / "tiny")
    for words, message in (
        (["googlenet", "--classes", 3], "Cannot use --classes or --size without --detection"),
        (["googlenet", "--detection", "--yaml"], "Cannot combine --paper, --gradients or --yaml with a"),
        (["googlenet", "--detection", "--size", 100], "width is 100; it must be a multiple of 32 from 64 to 4096"),
        (["--detection"], "without a network"),
        ([tmp_path / "cells", "--classes", 3], "which has its own"),
        ([tmp_path / "tiny"], "it is a classifier. Try its network: tiny"),
    ):
        assert message in sentence("nets", *words, monkeypatch=monkeypatch, capsys=capsys)


def test_gradients_by_layer(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "tiny.yaml"
    table.write_text(to_yaml(TINY))
    norms = json.loads(invoke("nets", table, "--gradients", images, "--json").stdout)
    assert [each["layer"] for each in norms] == ["conv1", "mix"]
    lines = invoke("nets", table, "--gradients", images).stdout.splitlines()
    assert lines[0].split() == ["layer", "main", "loss", "with", "heads", "times"]
