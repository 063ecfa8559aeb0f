"""Drawings of boxes."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

import inceptorch
from inceptorch.errors import RunError
from inceptorch.images.boxes import Box
from inceptorch.inference.draw_boxes import PALETTE, Drawings, draw_boxes

JPEG, PNG = b"\xff\xd8\xff\xe0", b"\x89PNG"
GRAY = Image.new("RGB", (400, 300), (128, 128, 128))


def box(left: float, top: float, width: float, height: float, index: int = 0, label: str = "ant") -> Box:
    return Box(label=label, index=index, score=0.9, box=[left, top, width, height])


def painted(drawing: Image.Image, index: int) -> np.ndarray:
    """Where the color of a class is."""
    where: np.ndarray = np.all(np.asarray(drawing) == ImageColor.getrgb(PALETTE[index % len(PALETTE)]), axis=2)
    return where


def test_a_box_has_its_color_at_its_edges_and_none_within() -> None:
    drawing = draw_boxes(GRAY, [box(100, 120, 200, 100, index=11)])  # the colors begin again
    rows, columns = np.nonzero(painted(drawing, 1))
    assert (columns.min(), columns.max(), rows.max()) == (100, 299, 219)
    assert rows.min() < 119  # the tag is above
    assert not painted(drawing, 1)[130:210, 110:290].any()
    assert np.asarray(GRAY).std() == 0  # the image itself is as before


def test_tags_stay_in_the_image_and_hide_no_other() -> None:
    top = painted(draw_boxes(GRAY, [box(320, 0, 80, 60, label="a name that is longer than the box")]), 0)
    rows, columns = np.nonzero(top)
    assert (rows.min(), columns.max()) == (0, 399)
    one = [box(100, 120, 200, 100, 0), box(102, 122, 200, 100, 1)]
    alone = [np.count_nonzero(painted(draw_boxes(GRAY, [each]), each["index"])) for each in one]
    both = draw_boxes(GRAY, one)
    for each, before in zip(one, alone, strict=True):
        assert np.count_nonzero(painted(both, each["index"])) > 0.9 * before


def test_strange_boxes_and_tiny_images_are_drawn() -> None:
    draw_boxes(Image.new("RGB", (1, 1)), [box(0, 0, 0, 0), box(0, 0, 1, 1, label="")])
    draw_boxes(GRAY, [box(399.6, 299.7, 0.2, 0.1, label="\n\x1b")])


def test_lines_grow_with_the_image() -> None:
    thin, thick = (
        int(painted(draw_boxes(Image.new("RGB", size), [box(0, 0, *size)]), 0)[size[1] * 2 // 3].sum())
        for size in ((200, 150), (4000, 3000))
    )
    assert thin == 2
    assert thick > 15


def test_drawings_have_the_kind_and_folder_of_their_images(boxes: Path, tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg", "b/2.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    paths = [tmp_path / "a", tmp_path / "b"]
    out = tmp_path / "drawn"
    entries = list(inceptorch.predict(boxes, paths))
    assert list(Drawings(out, paths).draw_each(entries)) == entries
    starts = {str(path.relative_to(out)): path.read_bytes()[:4] for path in out.rglob("*.*")}
    assert starts == {"a/1.jpg": JPEG, "b/1.jpg": JPEG, "b/2.webp.png": PNG}
    with Image.open(out / "b" / "2.webp.png") as drawing:
        assert drawing.size == (96, 64)
        assert painted(drawing, entries[-1]["boxes"][0]["index"]).any()
    assert {path: path.read_bytes() for path in before} == before


def test_folders_with_images_are_refused(folder: Path, tmp_path: Path) -> None:
    for out, paths in ((folder, [folder]), (folder / "red", [folder]), (folder, [folder / "red" / "00.png"])):
        with pytest.raises(RunError, match="already holds files"):
            Drawings(out, paths)
        with pytest.raises(RunError, match="Cannot draw into"):
            Drawings(out, paths, resumed=True)
    with pytest.raises(RunError, match="Try a folder outside of it"):
        Drawings(folder / "drawn", [folder])
    Drawings(tmp_path / "drawn", [folder])


def test_a_link_is_drawn_by_its_own_name_and_its_image_stays(tmp_path: Path) -> None:
    for name in ("real", "links"):
        (tmp_path / name).mkdir()
    GRAY.save(tmp_path / "real" / "1.png")
    link, out = tmp_path / "links" / "1.png", tmp_path / "drawn"
    link.symlink_to(tmp_path / "real" / "1.png")
    before = (tmp_path / "real" / "1.png").read_bytes()
    list(Drawings(out, [link.parent]).draw_each([{"file": str(link), "boxes": [box(100, 120, 200, 100)]}]))
    assert (tmp_path / "real" / "1.png").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["1.png"]


def test_the_page_has_the_same_colors() -> None:
    page = Path(inceptorch.__file__).parent / "serve" / "page" / "boxes.js"
    assert tuple(re.findall(r'"(#[0-9a-f]{6})"', page.read_text())) == PALETTE
