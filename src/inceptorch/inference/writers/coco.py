"""Boxes as COCO JSON, which is readable only when complete: until then, its entries lie in a file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from inceptorch.inference.inputs import Entry
from inceptorch.inference.writers.lines import JsonLines
from inceptorch.utils.files import atomic_write


class Coco(JsonLines):
    """Images, categories, and annotations with scores, numbered from 1; images that cannot be read are in "errors".

    Entries need "width" and "height"."""

    def __init__(self, path: Path, provenance: dict[str, Any], images_per_batch: int, classes: Sequence[str]):
        self._categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
        super().__init__(path, provenance, images_per_batch)

    @property
    def text(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part.jsonl")

    def _complete(self) -> None:
        super()._complete()
        atomic_write(self.path, self._convert)

    def _convert(self, target: Path) -> None:
        """One list after the other, so that memory does not grow with the number of images."""
        parts = {"images": self._images, "annotations": self._annotations, "errors": self._errors}
        with open(target, "w", encoding="utf-8", errors="backslashreplace") as file:
            for name, values in parts.items():
                file.write(f'{"{" if name == "images" else ","}"{name}":[')
                for number, value in enumerate(values()):
                    file.write(("," if number else "") + "\n" + json.dumps(value, ensure_ascii=False))
                file.write("]")
            file.write(f',"categories":{json.dumps(self._categories, ensure_ascii=False)}}}\n')

    def _entries(self) -> Iterator[tuple[int, Entry]]:
        with open(self.text, encoding="utf-8") as file:
            yield from enumerate(map(json.loads, file), 1)

    def _images(self) -> Iterable[dict[str, Any]]:
        for number, entry in self._entries():
            if "boxes" in entry:
                yield {"id": number, "file_name": entry["file"], "width": entry["width"], "height": entry["height"]}

    def _annotations(self) -> Iterable[dict[str, Any]]:
        boxes = ((number, box) for number, entry in self._entries() for box in entry.get("boxes", ()))
        for annotation, (number, box) in enumerate(boxes, 1):
            left, top, width, height = box["box"]
            yield {
                "id": annotation,
                "image_id": number,
                "category_id": box["index"] + 1,
                "bbox": [left, top, width, height],
                "area": round(width * height, 3),
                "iscrowd": 0,
                "score": box["score"],
            }

    def _errors(self) -> Iterable[dict[str, Any]]:
        for _, entry in self._entries():
            if "error" in entry:
                yield {"file_name": entry["file"], "error": entry["error"]}

    def finish(self) -> None:
        super().finish()
        self._guarded(self.text.unlink)
