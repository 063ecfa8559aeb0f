"""Explanations as files: a drawing for each picture, and explained.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inceptorch.classifier.classifier import Classifier
from inceptorch.data.split import decoded, picture_entries
from inceptorch.explanation.explain import BATCH, explain
from inceptorch.explanation.overlay import draw
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
    """Explain pictures, and those in folders, into the folder `out`; what explained.json then holds.

    It has an entry for each, in their order: {"file", "error"} where a picture could not be read, else "file", what
    `Explanation.to_dict` gives, and "drawing". Files of the same name are replaced. Raises as `explain` does, and
    RunError where `out` cannot be written.
    """
    progress = progress or Progress()
    entries = list(picture_entries(paths, but_within=out))  # what was drawn before is no picture
    names: set[str] = set()
    together = BATCH if method == "gradcam" else 1  # the others take their time with each
    batches = [entries[start : start + together] for start in range(0, len(entries), together)]
    for batch in progress.track(batches, len(batches), "explaining"):
        read = list(decoded(batch))
        explained = explain(classifier, [image for _, image in read], method, row, wanted, top)
        for (entry, _), explanation in zip(read, explained, strict=True):
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


def _free_name(stem: str, names: set[str]) -> str:
    """A file name that is not among `names`, to which it is added."""
    name, number = f"{stem}.png", 1
    while name in names:
        number += 1
        name = f"{stem}-{number}.png"
    names.add(name)
    return name
