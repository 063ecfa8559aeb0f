"""The mistakes of a detector, counted and drawn."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.data.box_split import BoxSplit
from inceptorch.data.sources.folder import Folder
from inceptorch.data.string_array import Files, StringArray
from inceptorch.evaluation.boxes import BoxEvaluation, evaluation_of
from inceptorch.images.boxes import Boxes
from inceptorch.report.box_mistakes import mistake_report
from inceptorch.report.detector_page import detector_page, threshold_sentences

CLASSES = ("ant", "<b>bee</b>")
TRUE = [(0, 0, 40, 40), (50, 0, 90, 40), (100, 0, 140, 40), (0, 50, 40, 90)]
# Right, again, of the other class, poorly placed, nowhere; the fourth object is missed.
FOUND = [(0, 0, 40, 40), (2, 0, 40, 40), (50, 0, 90, 40), (125, 0, 165, 40), (150, 60, 190, 90)]
SCORES = [0.95, 0.9, 0.8, 0.7, 0.6]


@pytest.fixture
def evaluation(tmp_path: Path) -> BoxEvaluation:
    names = ["a.png", "b.png", "gone.png"]
    for name in names[:2]:
        Image.new("RGB", (200, 100), (90, 120, 150)).save(tmp_path / name)
    files = Files.of_names(StringArray(names))
    truths = (Boxes.of(TRUE, [0] * 4), Boxes.of(TRUE[:1], [1]), Boxes.of(TRUE[:1], [0]))
    sizes = np.array([[200, 100]] * 3, np.int32)
    split = BoxSplit(
        "val", str(tmp_path), Folder(tmp_path), CLASSES, files, np.zeros(3, np.int32), boxes=truths, sizes=sizes
    )
    found = [Boxes.of(FOUND, [0, 0, 1, 0, 0], SCORES), Boxes.of(TRUE[:1], [1], [0.9]), Boxes()]
    return evaluation_of(found, split, [])


def test_mistakes_are_counted_by_their_kind_and_the_worst_image_comes_first(evaluation: BoxEvaluation) -> None:
    report = mistake_report(evaluation, 0.5)
    counts = {kind.key: count for kind, count in report.counts}
    assert counts == {"missed": 4, "false": 1, "confused": 1, "misplaced": 1, "duplicate": 1, "right": 2}
    assert report.images_with_mistakes == 2
    assert [Path(image.file).name for image in report.worst] == ["a.png", "gone.png"]
    assert report.worst[1].uri is None
    first = report.worst[0]
    assert first.size == (200, 100)
    assert first.uri is not None
    assert {mark.tip for mark in first.marks if mark.kind.key == "confused"} == {"confused: <b>bee</b> for ant, 80%"}
    assert [mark.width * mark.height for mark in first.marks] == sorted(
        (mark.width * mark.height for mark in first.marks), reverse=True
    )


def test_boxes_below_the_threshold_are_no_mistakes(evaluation: BoxEvaluation) -> None:
    counts = {kind.key: count for kind, count in mistake_report(evaluation, 0.85).counts}
    assert (counts["false"], counts["confused"], counts["misplaced"], counts["duplicate"]) == (0, 0, 0, 1)


def test_the_page_has_the_scores_the_curves_and_no_markup_of_names(evaluation: BoxEvaluation) -> None:
    rows = [{"epoch": str(n), "train_loss": str(1 / n), "map50": str(0.1 * n)} for n in (1, 2)]
    whole = evaluation.at(0.5)
    page = detector_page("cells", whole, "inceptorch eval", {"machine": "a"}, rows, "Kept.")
    assert whole.map50 is not None
    assert f"{whole.map50:.1%}" in page
    assert "highest 20.00% in epoch 2" in page
    assert "<b>bee" not in page
    assert "&lt;b&gt;bee" in page
    assert page.count("<svg") >= 6  # two of training, two of classes, the threshold, images
    assert len(re.findall(r"data:image/jpeg", page)) == 1
    assert any("precision" in sentence for sentence in threshold_sentences(whole))
