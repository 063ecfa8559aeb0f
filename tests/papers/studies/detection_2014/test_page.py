"""The outcome as text, as Markdown and as an image, beside the paper's tables."""

from pathlib import Path
from typing import Any

from PIL import Image

from inceptorch.papers.studies.detection_2014.page import draw, outcome, paper_tables, text
from inceptorch.papers.studies.detection_2014.rows import Row, rows


def results(**changes: Any) -> dict[str, Any]:
    """Of two sets and two networks."""
    sets = ("both", "boxes")
    score = {"map50": 0.5, "interval": (0.4, 0.6)}
    told = [
        {**vars(row), "ilsvrc": {**score, "map50": 0.5 + row.networks / 100}, "voc": score} for row in rows(sets, 2)
    ]
    claim = {
        "says": "Context helps.", "source": "Table 5", "printed": "", "of": vars(Row("both", True, False, 1)),
        "against": vars(Row("both", False, False, 1)), "mean": 0.012, "low": -0.01, "high": 0.034,
        "verdict": "cannot be told",
    }  # fmt: skip
    way = {"what": "regions", "per_image": 150.0, "coverage": 0.93, "by_number": {"10": 0.5, "100": 0.9, "200": 0.93}}
    found = {
        "study": "detection-2014", "data": "cells", "weights": "googlenet.bvlc", "classes": 3, "train_images": 20,
        "test_images": 10, "objects": 77, "size": 512, "seed": 0, "network": "googlenet",
        "networks": ["maps of 4e, images as they are, seed 0", "maps of 3b, images mirrored, seed 1"],
        "proposals": [{"name": name, **way} for name in sets], "rows": told, "claims": [claim],
    }  # fmt: skip
    return {**found, **changes}


def test_the_text_has_proposals_rows_claims_and_the_papers_tables() -> None:
    words = " ".join(text(results()).split())
    assert "cells, 3 classes; trained on 20 images, evaluated on 10 with 77 objects" in words
    assert "network 2: maps of 3b, images mirrored, seed 1" in words
    assert "both 150 93.0 50.0 90.0 93.0 boxes" in words
    assert "both: regions" in words
    assert "both no no 2 52.00 40.0 to 60.0 50.00" in words
    assert "Found, context against no context: +1.20 points of mAP, -1.00 to +3.40; cannot be told." in words
    assert "the networks are no trainings of their own" in words
    assert "GoogLeNet 38.02 no no" in words
    assert "GoogLeNet 2014 1st 43.9 ImageNet 1k 6 CNN" in words
    assert "detection, a single model, mAP in % 40 38.0 erratum" in words
    assert "Only 0.3 above its single model of Table 5" in words


def test_markdown_survives_any_name_and_images_without_intervals() -> None:
    nothing = {"map50": None, "interval": None}
    rows_of_nothing = [{**row, "ilsvrc": nothing, "voc": nothing} for row in results()["rows"]]
    shown = outcome(results(data="<script>|a`{{ 7*7 }}", rows=rows_of_nothing, claims=[]), "drawn.png")
    assert "\\<script\\>\\|a\\`{{ 7\\*7 }}, 3 classes" in shown
    assert "| both | no | no | 1 | none | none | none |" in shown
    assert "(drawn.png)" in shown
    assert "Context helps" not in shown


def test_the_paper_is_read_from_its_data() -> None:
    table_4, table_5, claims = paper_tables()
    assert [table_4.name, table_5.name] == ["Table 4", "Table 5"]
    assert len(claims.rows) == 7
    assert all(row.name.startswith("detection, ") for row in claims.rows)


def test_the_image_shows_scores_that_are_missing_too(tmp_path: Path) -> None:
    nothing = {"map50": None, "interval": None}
    found = results()
    found["rows"][0]["ilsvrc"] = nothing
    draw(found, tmp_path / "study.png")
    with Image.open(tmp_path / "study.png") as image:
        assert image.width > 1000


def test_coverage_stands_beside_the_papers() -> None:
    both, boxes = results()["proposals"]
    search = {**boxes, "name": "selective-search", "per_image": 250.0, "coverage": 0.875}
    shown = " ".join(text(results(proposals=[search, both])).split())
    assert "“both” has 60% as many regions as selective search alone, and covers 93.0 % of the objects against" in shown
    assert "against 87.5 %. The paper has about 60 %, and 93 % against 92 %." in shown
    assert "as many regions" not in text(results())
