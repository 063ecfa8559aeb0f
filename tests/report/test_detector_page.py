"""report.html and the model card of a detector: complete, safe for any class name, and self-contained."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml

import inceptorch
from inceptorch.classifier.config import Metadata
from inceptorch.evaluation.boxes import BoxEvaluation, evaluation_of
from inceptorch.evaluation.detection import evaluate_boxes
from inceptorch.images.boxes import Boxes
from inceptorch.networks.zoo import get_network
from inceptorch.report import write_report
from inceptorch.report.card import detector_card
from inceptorch.report.detector_page import MAX_CURVES, detector_page, threshold_sentences
from inceptorch.training.recipe import get_recipe
from inceptorch.utils.markdown import in_markdown
from inceptorch.utils.progress import Progress
from tests.helpers import ParsedPage, classifier_of, detector
from tests.report.helpers import box_split, write_table

QUIET = Progress(quiet=True)
HOSTILE = "<script>alert(1)<-script> '{{ 7*7 }} {% raw %} `|*_[a](b)"
CAT, DOG, FAR = [0.0, 0, 40, 40], [50.0, 0, 90, 40], [50.0, 50, 90, 90]


def evaluation(tmp_path: Path, classes: tuple[str, ...] = ("cat", "dog", "owl"), rule: str = "voc") -> BoxEvaluation:
    """Two of three cats are found, a dog is confused, and a box is false; nothing has the third class."""
    truths = [Boxes.of([CAT, DOG], [0, 1]), Boxes.of([CAT], [0]), Boxes.of([CAT], [0])]
    found = [
        Boxes.of([CAT, DOG], [0, 0], [0.9, 0.4]),
        Boxes.of([CAT, FAR], [0, 0], [0.8, 0.6]),
        Boxes(),
    ]
    split = box_split(tmp_path, truths, classes, (96, 96))
    scores = evaluate_boxes(truths, found, classes, rule)
    return BoxEvaluation(scores, split, found, [{"file": f"{HOSTILE}.png", "error": HOSTILE}])


def rows() -> list[dict[str, str]]:
    losses, maps = ("2.0", "90.0", "0.5"), ("0.1", "0.6", "0.4")
    return [
        {"phase": "train", "epoch": f"{epoch}", "train_loss": loss, "map50": map50}
        for epoch, (loss, map50) in enumerate(zip(losses, maps, strict=True), 1)
    ]


def test_the_page_has_scores_classes_curves_and_mistakes(tmp_path: Path) -> None:
    one = evaluation(tmp_path)
    html = detector_page("cells", one, "inceptorch eval a b", {"network": "googlenet"}, rows(), "Epoch 2 was kept.")
    found = ParsedPage(html)
    assert found.open == []
    assert "script" not in found.names
    assert not [value for _, value in found.attributes if value and value.startswith(("http", "//"))]
    low, high = one.scores.intervals["map50"] or (0, 0)
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    # Cats: right at 0.9 and 0.8, false at 0.6, of three: AP 2/3. Dogs: AP 0.
    for said in (
        f"33.3% mAP at IoU 0.5 {low:.1%} to {high:.1%}",
        "Pascal VOC 2010: precision over the whole curve, IoU >= 0.50",
        "50.0% recall at the threshold",
        "100.0% precision at the threshold",
        "3 images 95 % intervals",
        "4 objects of 3 classes",
        "cat 3 66.7% 66.7% 100.0%",
        "dog 1 0.0% 0.0% -",
        "owl 0 - - -",
        "loss (at its highest 90.0)",
        "mAP at IoU 0.5: highest 60.00%, in epoch 2",
        "Epoch 2 was kept.",
        "Boxes with a score below 0.80 are left out.",
        "2 of 3 images have mistakes",
        "1 image left out",
        "inceptorch eval a b",
    ):
        assert said in text, said
    assert html.count('class="shape"') == 2  # the class without objects has no curve
    assert html.count("<image ") == 2
    assert html.count('class="box missed"') == 1 + 2  # of the legend, a dog and a cat


def test_by_cocos_rule_the_mean_over_thresholds_is_shown_too(tmp_path: Path) -> None:
    one = evaluation(tmp_path, rule="coco")
    assert one.scores.map is not None
    html = detector_page("t", one, "x", {})
    assert f"<b>{one.scores.map:.1%}</b><span>mAP over all IoU</span>" in html
    assert "AP, all IoU" in html
    assert "<h2>Training</h2>" not in html


def test_images_without_objects_or_boxes_have_a_page(tmp_path: Path) -> None:
    one = evaluation_of([Boxes()], box_split(tmp_path, [Boxes()], size=(64, 64)), []).at(None)
    text = ParsedPage(detector_page("t", one, "x", {})).text
    assert "No class has an object." in text
    assert "There are none." in text
    assert len(threshold_sentences(one)) == 3  # nothing on precision and recall


def test_many_classes_stay_small(tmp_path: Path) -> None:
    names = tuple(f"class {number}, with its synonyms, as ImageNet has them" for number in range(200))
    truths = [Boxes.of(np.tile(CAT, (200, 1)), range(200))]
    scores = np.linspace(0.1, 0.9, 200)
    one = evaluation_of(
        [Boxes.of(truths[0].xyxy[50:], range(50, 200), scores[50:])], box_split(tmp_path, truths, names, (64, 64)), []
    )
    html = detector_page("t", one.at(None), "x", {})
    assert len(html) < 500_000
    assert html.count('class="shape"') == MAX_CURVES
    assert "The 15 worst of 200" in html
    assert "Of 200 classes, the best and the worst." in html


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    classes = (HOSTILE, "dog", "owl")
    one = evaluation(tmp_path, classes)
    found = ParsedPage(detector_page(HOSTILE, one, HOSTILE, {HOSTILE: HOSTILE}, rows(), HOSTILE))
    assert HOSTILE in found.text
    assert "script" not in found.names
    assert found.names.count("meta") == 3
    markdown = detector_card(detector(classes, Metadata(license=HOSTILE)), one, HOSTILE, {HOSTILE: HOSTILE})
    _, front, body = markdown.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "object-detection"
    prose = "\n".join(line for line in body.splitlines() if not line.startswith("    "))
    assert f"| {in_markdown(HOSTILE)} | 3 | 66.7% | 66.7% | 100.0% |" in prose
    assert not re.search(r"(?<!\\)[<`*]", prose)
    assert "| mAP at IoU 0.5 | 33.3% |" in prose
    assert "Pascal VOC 2010" in prose


def test_the_sentence_on_the_threshold_tells_whose_it_is(tmp_path: Path) -> None:
    one = evaluation(tmp_path)
    assert "highest here on these very images" in " ".join(threshold_sentences(one))
    other = " ".join(threshold_sentences(one.at(0.5)))
    assert "below 0.50 are left out" in other
    assert "66.7% of the boxes are right" in other
    assert "is highest at 0.80" in other


@pytest.mark.slow
def test_the_page_and_the_card_of_a_run(tmp_path: Path) -> None:
    classifier_of(get_network("googlenet_small")).save(tmp_path / "weights")
    data = tmp_path / "data"
    for split, count in (("train", 6), ("val", 3)):
        write_table(data, [Boxes.of([CAT, DOG], [0, 1])] * count, ("cat", "dog"), (96, 96), split)
    recipe = get_recipe("boxes-head").replace(epochs=2, keep="best", batch_size=3, cached_versions=1)
    result = inceptorch.train(
        data, out=tmp_path / "run", weights=tmp_path / "weights", recipe=recipe, size=64, progress=QUIET
    )
    write_report(result)
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    text = ParsedPage(html).text
    assert f"The weights are of epoch {result.kept_epoch} of 2" in text
    assert "chosen by the mAP on the validation images" in text
    assert "6 for training, 3 of val for validation" in text
    assert html.count('class="line training"') == html.count('class="line validation"') == 1
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    (metric,) = front["model-index"][0]["results"][0]["metrics"]
    assert metric["name"] == "mAP at IoU 0.5"
    assert metric["value"] == pytest.approx(result.scores["map50"], abs=1e-4)
    assert f"| mAP at IoU 0.5 | {result.scores['map50']:.1%} |" in card
    for said in ("object-detection", "- head: boxes by FCOS", "resized to fit into", "| recall at the threshold |"):
        assert said in card
