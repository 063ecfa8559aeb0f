"""Explanations as files: a drawing for each picture, and explained.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inceptorch.bundle import Classifier
from inceptorch.data.folder import find_pictures
from inceptorch.errors import PictureError
from inceptorch.explain.explanation import BATCH, explain
from inceptorch.explain.overlay import draw
from inceptorch.files import make_folder, write_text
from inceptorch.pixels import decode
from inceptorch.progress import Progress

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
    """Explain pictures, and those in folders, into the folder `out`; what explained.json then holds.

    It has an entry for each, in their order: {"file", "error"} where a picture could not be read, else "file", what
    `Explanation.to_dict` gives, and "drawing". Files of the same name are replaced. Raises as `explain` does, and
    RunError where `out` cannot be written.
    """
    progress = progress or Progress()
    entries = _entries(paths, out)
    names: set[str] = set()
    together = BATCH if method == "gradcam" else 1  # the others take their time with each
    batches = [entries[start : start + together] for start in range(0, len(entries), together)]
    for batch in progress.track(batches, len(batches), "explaining"):
        images, read = [], []
        for entry in batch:
            if "error" in entry:
                continue
            try:
                images.append(decode(entry["file"]))
                read.append(entry)
            except PictureError as error:
                entry["error"] = str(error)
        for entry, explanation in zip(read, explain(classifier, images, method, row, wanted, top), strict=True):
            make_folder(out)
            drawing = out / _free_name(f"{Path(entry['file']).stem}.{method}", names)
            draw(explanation, drawing)
            entry |= {**explanation.to_dict(), "drawing": str(drawing)}
            if not explanation.complete:
                progress.say(
                    f"{entry['file']}: its map sums to {explanation.map.sum():.3g}, which is not the difference in logits, "
                    f"{explanation.difference:.3g}: read it with care"
                )
    make_folder(out)
    write_text(out / JSON, json.dumps(entries, ensure_ascii=False) + "\n")
    return entries


def _entries(paths: Iterable[Path], out: Path) -> list[dict[str, Any]]:
    """A beginning for every picture; what was drawn before is none, though it may lie in a folder of pictures."""
    entries: list[dict[str, Any]] = []
    for path in paths:
        try:
            files = find_pictures(path)
        except PictureError as error:
            entries.append({"file": str(path), "error": str(error)})
            continue
        drawn = {file for file in files if path.is_dir() and Path(file).resolve().is_relative_to(out.resolve())}
        entries += [{"file": file} for file in files if file not in drawn]
    return entries


def _free_name(stem: str, names: set[str]) -> str:
    """A file name that is not among `names`, to which it is added."""
    name, number = f"{stem}.png", 1
    while name in names:
        number += 1
        name = f"{stem}-{number}.png"
    names.add(name)
    return name
