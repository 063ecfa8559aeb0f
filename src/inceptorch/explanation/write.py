"""Explanations as files: a drawing for each image, and explained.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import ImageError
from inceptorch.explanation.explain import explain
from inceptorch.explanation.overlay import draw
from inceptorch.images.inputs import load_image
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.inputs import Entry, image_entries
from inceptorch.inference.pipeline import in_batches
from inceptorch.utils.files import make_folder, write_text
from inceptorch.utils.progress import Progress

JSON = "explained.json"


def write(
    classifier: Classifier,
    paths: Iterable[Path],
    out: Path,
    method: str = "gradcam",
    row: str | None = None,
    wanted: str | int | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Explain images, and those in folders, into the folder `out`; what explained.json then holds.

    It has an entry for each, in their order: {"file", "error"} where an image could not be read, else "file", what
    `Explanation.to_dict` gives, and "drawing". Files of the same name are replaced. Raises as `explain` does, and
    RunError where `out` cannot be written.
    """
    progress = progress or Progress()
    entries = list(image_entries(paths, exclude=out))  # what was drawn before is no image
    names: set[str] = set()
    size = BATCH_SIZES["torch"] if method == "gradcam" else 1  # the others take their time with each
    batches = list(in_batches(entries, size))
    for batch in progress.track(batches, len(batches), "explaining"):
        read = [(entry, image) for entry in batch if (image := _read(entry)) is not None]
        images = [image for _, image in read]
        explained = explain(classifier, images, method=method, row=row, wanted=wanted, top=top)
        for (entry, _), explanation in zip(read, explained, strict=True):
            make_folder(out)
            drawing = out / _free_name(f"{Path(entry['file']).stem}.{method}", names)
            draw(explanation, drawing)
            entry |= {**explanation.to_dict(), "drawing": str(drawing)}
            if not explanation.complete:
                progress.info(
                    f"{entry['file']}: its map sums to {explanation.map.sum():.3g}, which is not the difference in logits, "
                    f"{explanation.difference:.3g}: read it with care"
                )
    make_folder(out)
    write_text(out / JSON, json.dumps(entries, ensure_ascii=False) + "\n")
    return entries


def _read(entry: Entry) -> Image.Image | None:
    """The image of an entry; None where it cannot be read, which the entry then says."""
    try:
        return None if "error" in entry else load_image(entry["file"])
    except ImageError as error:
        entry["error"] = str(error)
        return None


def _free_name(stem: str, names: set[str]) -> str:
    """A file name that is not among `names`, to which it is added."""
    name, number = f"{stem}.png", 1
    while name in names:
        number += 1
        name = f"{stem}-{number}.png"
    names.add(name)
    return name
