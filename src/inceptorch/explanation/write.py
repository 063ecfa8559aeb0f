"""Explanations as files: a drawing for each image, and explained.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inceptorch.classifier import Classifier
from inceptorch.errors import ImageError
from inceptorch.explanation.explain import explain
from inceptorch.explanation.overlay import draw
from inceptorch.images.inputs import decode_input
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.inputs import image_entries
from inceptorch.inference.options import report_low_bits
from inceptorch.inference.pipeline import in_batches
from inceptorch.utils.files import make_folder, write_text
from inceptorch.utils.progress import Progress

JSON = "explained.json"


def write(
    classifier: Classifier,
    paths: Iterable[Path],
    out: Path,
    method: str = "gradcam",
    layer: str | None = None,
    target: str | int | None = None,
    top: int = 5,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Explain images and folders of images into the folder `out`. Returns the entries of explained.json.

    An entry is {"file", "error"} if the image cannot be read, else "file", the values of `Explanation.to_dict`, and
    "drawing". Existing files of the same name are replaced. Raises as `explain` does, and RunError if `out` cannot be
    written.
    """
    progress = progress or Progress()
    entries = list(image_entries(paths, exclude=out, say=progress.info))  # not the drawings of an earlier call
    names: Counter[str] = Counter()
    batches = list(in_batches(entries, BATCH_SIZES["torch"] if method == "gradcam" else 1))  # the others are slow
    for batch in progress.track(batches, len(batches), "explaining"):
        images = {}
        for position, entry in enumerate(batch):
            try:
                if "error" not in entry:
                    decoded = decode_input(entry["file"])
                    images[position] = decoded.image
                    if decoded.low_bits:
                        entry["warning"] = decoded.low_bits
            except ImageError as error:
                entry["error"] = str(error)
        explained = explain(classifier, list(images.values()), method=method, layer=layer, target=target, top=top)
        for position, explanation in zip(images, explained, strict=True):
            entry = batch[position]
            make_folder(out)
            stem = f"{Path(entry['file']).stem}.{method}"
            names[stem] += 1
            drawing = out / (f"{stem}.png" if names[stem] == 1 else f"{stem}-{names[stem]}.png")
            draw(explanation, drawing)
            entry |= {**explanation.to_dict(), "drawing": str(drawing)}
            if not explanation.complete:
                progress.info(
                    f"{entry['file']}: the map sums to {explanation.map.sum():.3g}, but the difference in logits is "
                    f"{explanation.difference:.3g}; read it with care"
                )
    make_folder(out)
    write_text(out / JSON, json.dumps(entries, ensure_ascii=False) + "\n")
    return list(report_low_bits(entries, progress.info))
