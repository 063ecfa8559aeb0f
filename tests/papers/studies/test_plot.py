"""A study as an image."""

from pathlib import Path

from PIL import Image

from inceptorch.papers.studies.plot import draw


def test_a_line_more_makes_the_image_taller(tmp_path: Path) -> None:
    arm = {"name": "a", "top1": [0.5, 0.6], "low": 0.4, "mean": 0.55, "high": 0.7}
    claim = {"of": "a", "against": "b", "at": 0.5, "margin": 0.01, "differences": [0.1, 0.2], "verdict": "agrees"}
    claim |= {"low": 0.1, "mean": 0.15, "high": 0.2}
    heights = []
    for arms in ([arm], [arm, arm, arm]):
        draw({"study": "one", "arms": arms, "claims": [claim]}, tmp_path / "study.png")
        with Image.open(tmp_path / "study.png") as image:
            assert image.width > image.height
            heights.append(image.height)
    assert heights[0] < heights[1]
