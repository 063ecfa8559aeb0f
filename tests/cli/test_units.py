"""`inceptorch units`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inceptorch.networks.network import NetworkSpec
from tests.helpers import classifier_of, invoke, sentence


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    classifier_of(tiny, classes=3).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_json_is_a_list_of_layers(bundle: Path, images: Path) -> None:
    found = json.loads(invoke("units", bundle, images, "--json").stdout)
    assert [each["layer"] for each in found] == ["conv1", "mix"]
    assert {"layer", "channels", "effective_rank", "clusters_90", "dead", "cost"} <= found[0].keys()
    assert 0 < sum(each["cost"] for each in found) < 1
    assert found[0]["cka"]["conv1"] == pytest.approx(1)
    assert "cka_against" not in found[0]
    assert found[0]["mean_correlation"].keys() == {"0", "1", "2"}
    assert found[-1]["self_correlation"].keys() == {"1", "2"}


def test_the_table_the_matrix_and_the_page(bundle: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "units.html"
    done = invoke("units", bundle, images, "--out", out, "--against", bundle)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["layer", "channels", "cost"]
    assert lines[1].split()[0] == "conv1"
    assert f"linear CKA of the layers of {bundle} (down) and of {bundle} (across)" in lines
    assert lines[-1] == f"the page is {out}"
    assert out.read_text().startswith("<!doctype html>")


def test_a_unit(bundle: Path, images: Path) -> None:
    (layer,) = json.loads(invoke("units", bundle, images, "--layer", "mix:1", "--json").stdout)
    unit = layer["unit"]
    assert (layer["layer"], unit["unit"]) == ("mix", 1)
    assert len(unit["nearest"]) == 8
    values = [each["value"] for each in unit["top_images"]]
    assert values == sorted(values, reverse=True)
    assert Path(unit["top_images"][0]["file"]).is_file()
    lines = invoke("units", bundle, images, "--layer", "mix:1").stdout.splitlines()
    assert lines[3].startswith("mix:1 is active at ")
    assert "linear CKA" not in "\n".join(lines)


def test_an_unreadable_image_is_exit_code_1(bundle: Path, images: Path) -> None:
    broken = images / "train" / "red" / "01.png"
    broken.write_bytes(b"no image")
    done = invoke("units", bundle, images, "--layer", "mix", "--json")
    assert done.exit_code == 1
    assert str(broken) in done.stderr
    assert len(json.loads(done.stdout)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--layer", "conv11"],
            "Cannot see layer 'conv11', which the body of tiny does not have: did you mean 'conv1'?",
        ),
        (["--layer", "mix:900"], "Cannot see unit '900' of layer mix: it has 16 units. Try 0 to 15."),
        (["--out", "page.txt"], "Cannot write page.txt: its name must end in .html. Try page.html."),
        (["--out", "missing/page.html"], "Cannot write missing/page.html: there is no folder missing. Try another"),
        (["--against", "missing/bundle"], "missing/bundle"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], said: str, bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert said in sentence("units", bundle, images, *words, monkeypatch=monkeypatch, capsys=capsys)


def test_data_without_images_is_one_sentence(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    last = sentence("units", bundle, tmp_path / "empty", monkeypatch=monkeypatch, capsys=capsys)
    assert "it holds no images" in last
    last = sentence("units", bundle, tmp_path / "missing", monkeypatch=monkeypatch, capsys=capsys)
    assert "does not exist" in last
