"""What training images are like, before training is set up."""

from pathlib import Path

from PIL import Image

from inceptorch.data.peek import Peek, peek


def test_images_that_a_limit_leaves_out_do_not_count(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(7):
            Image.new("RGB", (35, 32)).save(tmp_path / name / f"{number}.png")
    assert (peek(tmp_path), peek(tmp_path, 5)) == (Peek(14, 32), Peek(10, 32))
