"""Dreams as files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from inceptorch.classifier.hub import load
from inceptorch.errors import InceptorchError
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import build
from inceptorch.visualization.dream import MODEL, DreamSettings, dream
from inceptorch.visualization.film import SUFFIXES, require_ffmpeg, write_film
from inceptorch.visualization.png import read_settings, write_png
from inceptorch.visualization.record import (
    describe,
    recorded_inputs,
    recorded_model,
    require_same,
    require_writable,
)

COMMAND = "dream"


def write_dream(
    image: Path | None,
    out: Path,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    guide: Path | None = None,
    source: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Dream of an image file into the file `out`: a PNG with its settings, or a film for more than one frame.

    settings  values of `DreamSettings` by name
    source    a PNG of an earlier call, to be made again: by its settings, and from the same files and weights. Files
              and model are found as they were named then, unless they are named here

    Returns the JSON form: "file", "width", "height", "frames", "octaves" of the last frame with the layer's energy
    before each step, "interrupted", "seconds", and "settings" as in the PNG. Raises as `dream` does, and
    InceptorchError if `out` cannot be written.
    """
    began, progress = time.monotonic(), progress or Progress()
    record: dict[str, Any] = {}
    if source is not None:
        if settings:
            raise InceptorchError(f"Cannot change {' and '.join(settings)} of {source}. Try without --from.")
        record = read_settings(source, COMMAND)
        settings = {field.name: record[field.name] for field in fields(DreamSettings) if field.name in record}
        files = recorded_inputs(record, source, range(1, 3))
        image, guide = image or files[0], guide or (files[1] if len(files) > 1 else None)
        model = model or recorded_model(record, source)
    if image is None:
        raise InceptorchError("Cannot dream without an image. Try inceptorch dream IMAGE.")
    chosen = build(DreamSettings, settings or {}, "A dream", InceptorchError)
    inputs = [image] if guide is None else [image, guide]
    require_writable(out, SUFFIXES if chosen.zoom else (".png",), [*inputs, *([source] if source else [])])
    require_ffmpeg(out)
    classifier = load(model or MODEL).to_best_device()
    if source is not None:
        require_same(record, source, classifier, inputs)
    record = describe(COMMAND, model or MODEL, classifier, inputs)  # before the work, as files may go meanwhile
    made = dream(image, classifier, chosen, guide=guide, progress=progress)
    record |= asdict(made.settings)
    if made.interrupted:
        record["interrupted"] = True
    if chosen.zoom:
        write_film(out, made.frames)
    else:
        write_png(out, made.image, record)
    height, width = made.image.shape[:2]
    return {
        "file": str(out),
        "width": width,
        "height": height,
        "frames": len(made.frames),
        "octaves": [asdict(octave) for octave in made.octaves[-1]],
        "interrupted": made.interrupted,
        "seconds": round(time.monotonic() - began, 3),
        "settings": record,
    }
