"""report.html: complete, safe for any class name, and self-contained."""

from __future__ import annotations

import base64
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import inceptorch
from inceptorch.checks import check
from inceptorch.checks import page as check_page
from inceptorch.classifier import Classifier, Metadata
from inceptorch.data import find_split
from inceptorch.data.verify import Skipped
from inceptorch.evaluation import evaluation_from_logits
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.report import evaluation_page, page, write_report
from inceptorch.report.card import card
from inceptorch.tasks.metrics import wilson_interval
from inceptorch.training.recipe import Recipe
from inceptorch.utils.markdown import in_markdown
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes
from tests.helpers import ParsedPage, by_classes

QUIET = Progress(quiet=True)


NASTY = "<i onclick=x>&\"'"


HOSTILE = "<script>alert(1)<-script> \"'{{ 7*7 }} {% raw %} `|*_[a](b)"


@pytest.mark.slow
def test_the_page_of_a_run(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    for part in ("train", "val"):
        (images / part / "red").rename(images / part / NASTY.replace("/", ""))
    still = recipe.replace(lr=1e-9, epochs=2)  # which learns nothing, so that there are mistakes
    result = inceptorch.train(images, out=tmp_path / "run", recipe=still, progress=QUIET)
    write_report(result)
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    found = ParsedPage(html)
    assert found.open == []
    assert "script" not in found.names
    assert "inceptorch visualize RUN --class NAME" in found.text
    assert "i onclick" not in re.sub(r"&lt;.*?&gt;", "", html)
    assert NASTY in found.text
    assert not [value for _, value in found.attributes if value and value.startswith(("http", "//"))]
    assert "https:" not in html
    assert f"{result.top1:.2%}" in found.text
    assert len(by_classes(result).mistakes) > 3
    sources = [value for name, value in found.attributes if name == "src" and value]
    assert len(sources) == 2 * len(by_classes(result).mistakes)  # each with where the network looked
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (16, 16)
    for mistake in by_classes(result).mistakes:
        assert mistake.file.removeprefix(f"{images}/val/") in found.text
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "\\<i onclick=x\\>\\&\"'" in card
    assert NASTY not in card
    for said in (
        f"| top-1 | {result.top1:.2%} |",
        "## Confidence",
        "expected calibration error",
        "Rejecting predictions below",
        "| split |",
    ):
        assert said in card
    assert card.count("\n| ") == 2 + 2 + 2 + 3 + 2 + 8  # heads and rules of three tables, two scores, classes, facts
    assert sum(int(number) for number in re.findall(r'<td class="(?:hit|miss)"[^>]*>(\d+)<', html)) == 12


def test_a_thousand_classes_stay_small(tiny: NetworkSpec, tmp_path: Path) -> None:
    write_classes(tmp_path / "data", 40)
    names = [f"class {number}, with its synonyms, as ImageNet has them" for number in range(1000)]
    split = find_split(tmp_path / "data", list(COLORS))
    split = replace(split, classes=tuple(names), labels=np.arange(len(split), dtype=np.int32) * 8)
    logits = np.random.default_rng(0).normal(size=(len(split), 1000))
    classifier = Classifier.of(Model(tiny, 1000, size=16), default_preprocessing(16), names)
    html = evaluation_page(
        "t", evaluation_from_logits(logits, names, split, [], "center"), classifier, 1.0, "inceptorch eval"
    )
    assert len(html) < 5_000_000
    assert "The 15 worst of 120" in ParsedPage(html).text
    assert "confusion matrix" in html


def test_an_evaluation_without_mistakes_or_images(tiny: NetworkSpec, tmp_path: Path) -> None:
    write_classes(tmp_path / "data", 2)
    split = find_split(tmp_path / "data", list(COLORS))
    right = 9.0 * torch.nn.functional.one_hot(torch.tensor(split.labels).long(), 3).numpy()
    evaluation = evaluation_from_logits(
        right, list(COLORS), split, [{"file": "a.jpg", "error": "is damaged"}], "center"
    )
    text = ParsedPage(evaluation_page("t", evaluation, None, 1.0, "inceptorch eval kept/*")).text
    assert "There are none." in text
    assert "No class was taken for another." in text
    assert "1 image left out" in text
    wrong = evaluation_from_logits(-right, list(COLORS), split, [], "center")
    assert ParsedPage(evaluation_page("t", replace(wrong, split=None), None, 1.0, "x")).text.count("predicted ") == 6


def test_paths_are_relative_to_the_classes_and_intervals_zoomed_to_the_data(tiny: NetworkSpec, tmp_path: Path) -> None:
    write_classes(tmp_path / "data" / "val", 20)
    for name in ("green", "red"):  # the first and the last image are of one class
        shutil.rmtree(tmp_path / "data" / "val" / name)
        (tmp_path / "data" / "val" / name).mkdir()
    split = find_split(tmp_path / "data" / "val", list(COLORS))
    logits = np.tile([9.0, 0, 0], (20, 1))
    logits[3] = [0, 9.0, 0]
    html = page("t", evaluation_from_logits(logits, list(COLORS), split, [], "center"), None, "x", {})
    assert "<small>blue/<wbr>03<span" in html
    low, high = wilson_interval(19, 20)  # 76.4 to 99.1 %, drawn from 70 % on
    assert "95 % interval <small>70% to 100%</small>" in html
    assert f'<i style="left:{(low - 0.7) / 0.3:.1%};width:{(high - low) / 0.3:.1%}">' in html


def test_validation_has_one_color_and_a_cut_peak_is_said(tiny: NetworkSpec, tmp_path: Path) -> None:
    write_classes(tmp_path / "data", 2)
    split = find_split(tmp_path / "data", list(COLORS))
    right = 9.0 * torch.nn.functional.one_hot(torch.tensor(split.labels).long(), 3).numpy()
    rows = [
        {"phase": "whole", "epoch": f"{epoch}", "train_loss": "1.0", "loss": loss, "top1": "0.25"}
        for epoch, loss in enumerate(("1.5", "70.0", "0.5"), 1)
    ]
    html = page("t", evaluation_from_logits(right, list(COLORS), split, [], "center"), None, "x", {}, rows)
    assert "loss (at its highest 70.0)" in html
    assert "validation accuracy: 25.00 %" in html
    assert html.count('class="line validation"') == 2
    assert html.count('class="line training"') == 1


@pytest.mark.slow
def test_names_are_shown_as_they_are_in_every_page_and_card(tiny: NetworkSpec, tmp_path: Path) -> None:
    classes = [HOSTILE, "green"]
    for part in ("train", "val"):
        for name in classes:
            (tmp_path / "data" / part / name).mkdir(parents=True)
            shade = np.full((20, 20, 3), len(name), np.uint8)
            Image.fromarray(shade).save(tmp_path / "data" / part / name / f"{HOSTILE}.png")
    split = find_split(tmp_path / "data", classes)
    classifier = Classifier.of(
        Model(tiny, 2, size=16), default_preprocessing(16), classes, Metadata(weights=HOSTILE, license=HOSTILE)
    )
    skipped = [Skipped(file=f"{HOSTILE}.jpg", error=HOSTILE)]
    wrong = evaluation_from_logits(np.eye(2)[1 - np.asarray(split.labels)], classes, split, skipped, HOSTILE)
    rows = [{"phase": "whole", "epoch": "1", "train_loss": "1", "loss": "1", "top1": "0"}]
    checked = check_page.html(check(tmp_path / "data", progress=QUIET))
    for html in (page(HOSTILE, wrong, classifier, HOSTILE, {HOSTILE: HOSTILE}, rows), checked):
        found = ParsedPage(html)
        assert HOSTILE in found.text
        assert f"{HOSTILE}/{HOSTILE}.png" in found.text
        assert not {"script", "a onclick"} & set(found.names)
        assert found.names.count("meta") == 3
        assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    card_of_run = card(classifier, wrong, HOSTILE, {HOSTILE: HOSTILE})
    for markdown in (classifier.card(), card_of_run):
        _, front, body = markdown.split("---\n", 2)
        assert yaml.safe_load(front)["license_name"] == HOSTILE
        prose = "\n".join(line for line in body.splitlines() if not line.startswith("    "))
        assert in_markdown(HOSTILE) in prose
        assert not re.search(r"(?<!\\)[<`*]", prose)
        assert "[a]" not in prose
    assert f"\n    {HOSTILE}\n" in card_of_run
