"""Five images with boxes, written in every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inceptorch.data import BoxSplit
from inceptorch.data.resolve import open_splits

CLASSES = ("cat", "dog", "owl")
Row = tuple[str, float, float, float, float]
IMAGES: dict[str, tuple[tuple[int, int], list[Row]]] = {
    "a": ((64, 48), [("dog", 4, 6, 24, 30), ("cat", 10, 8, 60, 40)]),
    "b": ((40, 80), [("owl", 0, 0, 40, 80)]),
    "c": ((50, 50), []),
    "d": ((32, 64), [("cat", 1, 2, 17, 34), ("cat", 16, 32, 32, 64)]),
    "e": ((100, 60), [("dog", 25, 15, 75, 45), ("owl", 20, 3, 30, 6), ("cat", 95, 57, 100, 60)]),
}


def write_image(path: Path, size: tuple[int, int], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(sum(size)).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)


def write_images(folder: Path) -> None:
    for name, (size, _) in IMAGES.items():
        write_image(folder / f"{name}.png", size)


def xml(name: str, size: tuple[int, int], rows: Iterable[Row]) -> str:
    objects = "".join(
        f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
        for label, left, top, right, bottom in rows
    )
    return (
        f"<annotation><filename>{name}.png</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>\n{objects}</annotation>\n"
    )


def write_xml(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (size, rows) in IMAGES.items():
        (folder / f"{name}.xml").write_text(xml(name, size, rows))


def coco() -> dict[str, Any]:
    """Ids with gaps, and classes in another order than that of their names."""
    ids = {"owl": 90, "dog": 7, "cat": 31}
    boxes = [
        (100 + number, label, (left, top, right - left, bottom - top))
        for number, (_, rows) in enumerate(IMAGES.values())
        for label, left, top, right, bottom in rows
    ]
    return {
        "info": {"year": 2020},
        "images": [
            {"id": 100 + number, "file_name": f"{name}.png", "width": size[0], "height": size[1]}
            for number, (name, (size, _)) in enumerate(IMAGES.items())
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": ids[label], "bbox": list(box), "iscrowd": 0}
            for number, (image, label, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": each, "name": name, "supercategory": "animal"} for name, each in ids.items()],
    }


def write_yolo(images: Path, labels: Path, classes: tuple[str, ...] = ("owl", "cat", "dog")) -> None:
    write_images(images)
    labels.mkdir(parents=True, exist_ok=True)
    for name, ((width, height), rows) in IMAGES.items():
        lines = [
            f"{classes.index(label)} {(left + right) / 2 / width!r} {(top + bottom) / 2 / height!r} "
            f"{(right - left) / width!r} {(bottom - top) / height!r}\n"
            for label, left, top, right, bottom in rows
        ]
        (labels / f"{name}.txt").write_text("".join(lines))


def table(header: str = "filename,width,height,class,xmin,ymin,xmax,ymax") -> str:
    lines = [header]
    for name, ((width, height), rows) in IMAGES.items():
        for label, *edges in rows:
            lines.append(f"{name}.png,{width},{height},{label},{','.join(map(str, edges))}")
        if not rows:
            lines.append(f"{name}.png,{width},{height},,,,,")
    return "\n".join(lines) + "\n"


def write_voc(root: Path) -> Path:
    write_images(root / "JPEGImages")
    write_xml(root / "Annotations")
    return root


def write_coco(root: Path) -> Path:
    write_images(root / "images")
    (root / "annotations").mkdir()
    (root / "annotations" / "instances.json").write_text(json.dumps(coco()))
    return root


def write_yolo_data(root: Path) -> Path:
    write_yolo(root / "images", root / "labels")
    (root / "data.yaml").write_text("train: images\nnc: 3\nnames: [owl, cat, dog]\n")
    return root


def write_table(root: Path) -> Path:
    write_images(root / "images")
    (root / "boxes.csv").write_text(table())
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "voc": write_voc,
    "coco": write_coco,
    "yolo": write_yolo_data,
    "table": write_table,
}


def only_split(root: Path) -> BoxSplit:
    """All of DATA that is one split, after a look at what must be true of any."""
    (read,) = open_splits(root).values()
    split = read()
    assert isinstance(split, BoxSplit)
    assert len(split) == len(split.boxes) == len(split.sizes) == len(split.labels)
    for boxes, size in zip(split.boxes, split.sizes, strict=True):
        assert np.isfinite(boxes.xyxy).all()
        assert (boxes.sides > 0).all()
        assert (boxes.xyxy >= 0).all()
        assert (boxes.xyxy <= np.tile(size, 2)).all()
        assert ((boxes.labels >= 0) & (boxes.labels < len(split.classes))).all()
    return split


def rows_of(split: BoxSplit) -> dict[str, list[Row]]:
    """The boxes of each image with the names of their classes, rounded as fractions of a side need."""
    return {
        Path(path).stem: [
            (split.classes[label], *(round(float(edge), 9) for edge in edges))
            for edges, label in zip(boxes.xyxy, boxes.labels, strict=True)
        ]
        for path, boxes in zip(split.paths, split.boxes, strict=True)
    }
