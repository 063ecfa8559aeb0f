"""inceptorch eval."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inceptorch.classifier.config import Metadata
from inceptorch.cli.evaluate import print_comparison
from inceptorch.evaluation import ComparisonRow
from inceptorch.images.boxes import Boxes
from tests.conftest import COLORS
from tests.helpers import detector, invoke
from tests.report.helpers import box_split


def test_eval_of_several_models_by_a_protocol(run: Path, images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    words = ("eval", run, run, images, "--protocol", "10crop", "--save-predictions", kept, "--json")
    found = json.loads(invoke(*words).stdout)
    assert "10crop" in found["protocol"]
    assert "2 models averaged: 1 x run (tiny), 1 x run (tiny)" in found["protocol"]
    low, high = found["intervals"]["top1"]
    assert low <= found["top1"] <= high
    (file,) = kept.iterdir()  # of one classifier, which was given twice
    again = json.loads(invoke("eval", file, "--json").stdout)
    assert again["top1"] == found["top1"]
    page = tmp_path / "report.html"
    reported = invoke("eval", run, images, "--report", page)
    assert "top-1" in reported.stdout
    assert f"the page is in {page}" in reported.stderr
    assert "run, evaluated" in page.read_text()
    table = invoke("eval", run, images, "--compare", "--save-predictions", kept).stdout
    assert [line.split()[:2] for line in table.splitlines()[1:4]] == [["1", "1"], ["1", "10"], ["1", "144"]]
    assert "top-5" not in table  # of three classes
    assert "-0.00%" not in table
    assert "models: run (tiny)" in table
    result = invoke("eval", run, images, "--split", "val", "--calibrate-on", "train")
    assert "with logits divided by" in result.stdout or "no temperature is best" in result.stderr
    for wrong, said in (
        (("eval", run, images, "--protocol", "11crop"), "did you mean"),
        (("eval", run), "Cannot evaluate"),
        (("eval", run, images, "--weights", "a,b"), "--weights takes numbers"),
        (("eval", file, "--compare"), "Name models and DATA"),
        (("eval", run, images, "--compare", "--weights", "1"), "Cannot combine --weights with --compare"),
        (("eval", run, images, "--report", tmp_path), f"it is a folder. Try --report {tmp_path / 'out.html'}."),
        (
            ("eval", run, images, "--report", tmp_path / "r.pdf"),
            f"r.pdf: its name must end in .html or .htm. Try {tmp_path / 'r.html'}.",
        ),
        (
            ("eval", run, images, "--report", tmp_path / "no" / "r.html"),
            f"there is no folder {tmp_path / 'no'}. Try another --report.",
        ),
        (("predict", run, images, "--reject", "--protocol", "10crop"), "which is one for center crops"),
    ):
        result = invoke(*wrong)
        assert result.exit_code != 0
        assert said in str(result.exception)


def test_eval_json(run: Path, images: Path) -> None:
    (images / "val" / "red" / "zz.jpg").write_text("text")
    result = invoke("eval", run, images, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert {"n", "top1", "top5", "loss", "protocol", "intervals", "calibration", "per_class", "skipped"} <= set(answer)
    assert answer["n"] == 12
    assert list(answer["per_class"]) == list(COLORS)
    assert answer["top1"] == pytest.approx(sum(one["top1"] for one in answer["per_class"].values()) / 3)
    assert answer["top5"] == 1.0
    assert [Path(one["file"]).name for one in answer["skipped"]] == ["zz.jpg"]
    assert "left out 1 unreadable image:" in result.stderr
    assert "center crop 16" in answer["protocol"]
    assert "all" in invoke("eval", run, images).stdout


def test_a_table_says_no_more_than_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    sure = (0.4, 0.6)
    row = ComparisonRow(
        ["a"], ["tiny"], 10, "center", 1, 10**9, 0.5, sure, 0.75, sure, 0.0, (-0.1, 0.1), 0.0, (0.0, 0.00001)
    )
    print_comparison([row, replace(row, models=["a", "b"], networks=["tiny", "tiny"])])
    head, base, both, models = capsys.readouterr().out.splitlines()
    assert head.endswith("top-5 compared to base")
    assert base.split()[4:] == ["50.00%", "(40.0%-60.0%)", "25.00%", "(40.0%-60.0%)", "base"]
    assert both.endswith("  +0.00% (+0.00% to +0.00%)")
    assert models.startswith("models: a (tiny), b (tiny);")
    print_comparison([replace(row, classes=5), replace(row, classes=5)])
    head, base, both, _ = capsys.readouterr().out.splitlines()
    assert "top-5" not in head
    assert both.split()[4:] == ["50.00%", "(40.0%-60.0%)", "+0.00%", "(-10.00%", "to", "+10.00%)"]


def test_the_page_of_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box_split(tmp_path / "data", [Boxes.of([[0, 0, 40, 40]], [0])] * 2, ("ant",), (96, 64))
    detector(metadata=Metadata(score_threshold=0.25)).save(tmp_path / "cells")
    monkeypatch.setattr("sys.argv", ["inceptorch", "eval", "cells", "data"])
    page = tmp_path / "report.html"
    found = invoke("eval", tmp_path / "cells", tmp_path / "data", "--report", page)
    assert found.exit_code == 0, found.output
    assert "mAP" in found.stdout
    assert f"the page is in {page}" in found.stderr
    html = page.read_text(encoding="utf-8")
    for said in ("cells, evaluated", "inceptorch eval cells data", "Boxes with a score below 0.25", "ms an image"):
        assert said in html
    for flag, value in (("--weights", "1"), ("--save-predictions", tmp_path / "p"), ("--calibrate-on", "val")):
        result = invoke("eval", tmp_path / "cells", tmp_path / "data", flag, value)
        assert f"Cannot combine {flag} with a detector. Leave it out." in str(result.exception)
