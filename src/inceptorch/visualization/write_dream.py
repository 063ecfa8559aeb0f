"""`inceptorch dream`: a PNG that holds how it was made, or a film."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inceptorch.errors import InceptorchError
from inceptorch.utils.files import require_writable
from inceptorch.utils.progress import Progress
from inceptorch.visualization.default_model import DEFAULT_MODEL, open_classifier
from inceptorch.visualization.dream import DreamSettings, run
from inceptorch.visualization.film import SUFFIXES, require_ffmpeg, write_film
from inceptorch.visualization.png import write_png
from inceptorch.visualization.record import Repeat, to_json


def write_dream(
    out: Path,
    image: Path | None,
    values: Mapping[str, Any],
    *,
    guide: Path | None = None,
    model: str | None = None,
    repeat: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Dream of an image file into the file `out`: a PNG with its settings, or a film for more than one frame.

    values   of `DreamSettings`, by name
    repeat   a PNG of an earlier call; see `Repeat`

    Returns the JSON form, with "frames", and "octaves" of the last frame with the layer's energy before each step.
    Raises as `dream` does, and InceptorchError if `out` cannot be written.
    """
    began, progress = time.monotonic(), progress or Progress()
    earlier = Repeat(repeat, "dream")
    settings = earlier.settings(DreamSettings, values)
    inputs = earlier.inputs({"image": image, "guide": guide})
    if "image" not in inputs:
        raise InceptorchError("Cannot dream without an image. Try inceptorch dream IMAGE.")
    require_writable(out, SUFFIXES if settings.zoom else [".png"], [*inputs.values(), repeat])
    require_ffmpeg(out)
    name = earlier.model(model) or DEFAULT_MODEL
    classifier = open_classifier(name)
    with earlier.threads():
        record = earlier.describe(name, classifier, inputs)
        made = run(inputs["image"], classifier, settings, inputs.get("guide"), progress)
    record |= {**asdict(made.settings), "interrupted": made.interrupted}
    if settings.zoom:
        write_film(out, made.frames)
    else:
        write_png(out, made.image, record)
    octaves = [asdict(octave) for octave in made.octaves[-1]]
    return to_json(out, made.image, record, began, frames=len(made.frames), octaves=octaves)
