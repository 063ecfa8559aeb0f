"""`inceptorch visualize`: a PNG that holds how it was made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError
from inceptorch.utils.files import require_writable
from inceptorch.utils.progress import Progress
from inceptorch.visualization.default_model import open_classifier
from inceptorch.visualization.map_tiles import draw_maps
from inceptorch.visualization.patches import COUNT, TopPatches
from inceptorch.visualization.png import write_png
from inceptorch.visualization.record import InputFile, Repeat, to_json
from inceptorch.visualization.sheet import Panel, Part, draw_sheet
from inceptorch.visualization.visualize import Visualization, VisualizeSettings, describe, run

TILE, TILE_WITH_PATCHES = 128, 192  # pixels at least, of an image in a sheet
ACROSS = 3  # patches on a tile's side


def write_visualization(
    out: Path,
    values: Mapping[str, Any],
    *,
    direction: Path | None = None,
    data: str | None = None,
    image: Path | None = None,
    model: str | None = None,
    repeat: Path | None = None,
    every: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Optimize images, or with `image` show its maps, into the file `out`, a PNG with its settings.

    values   of `VisualizeSettings`, by name
    repeat   a PNG of an earlier call; see `Repeat`. A layer or a class that is given replaces all that was shown
    every    number of steps after which the images so far are written; 0: only at the end

    Returns the JSON form, with "visualizations", or with "channels" of an image's maps. Raises as `visualize` does, and
    InceptorchError if `out` cannot be written.
    """
    began, progress = time.monotonic(), progress or Progress()
    earlier = Repeat(repeat, "visualize")
    named = {"direction": direction, "data": data, "image": image}
    if values.keys() & {"layer", "target"}:
        values = {"layer": None, "target": None, "channels": None, **values}
        if direction is None:
            del named["direction"]
    settings, inputs = earlier.settings(VisualizeSettings, values), earlier.inputs(named)
    name = earlier.model(model)
    if name is None:
        raise InceptorchError("Cannot visualize without a model. Try inceptorch visualize MODEL LAYER.")
    require_writable(out, [".png"], [*inputs.values(), repeat])
    classifier = open_classifier(name)
    files = {name: path for name, path in inputs.items() if name != "data"}  # whose pixels are hashed as they are read
    with earlier.threads():
        record = earlier.describe(name, classifier, files)
        if "image" in inputs:
            sheet, more = _maps(classifier, settings, inputs["image"])
            record |= {**asdict(settings), "interrupted": False}
            write_png(out, sheet, record)
        else:
            sheet, more = _optimized(out, classifier, settings, record, earlier, inputs, every, progress)
    return to_json(out, sheet, record, began, **more)


def _maps(classifier: Classifier, settings: VisualizeSettings, image: str) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    if settings.layer is None or ":" in settings.layer:
        raise InceptorchError(
            "Cannot show the maps of an image for less than a layer. Try 4c --channels 12 for some of it."
        )
    sheet, channels = draw_maps(classifier, image, settings.layer, settings.channels)
    return sheet, {"channels": channels}


def _optimized(
    out: Path,
    classifier: Classifier,
    settings: VisualizeSettings,
    record: dict[str, Any],
    earlier: Repeat,
    inputs: Mapping[str, str],
    every: int,
    progress: Progress,
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Write the images and complete their record. The sheet, and what `--json` tells beside it."""

    def on_photographs(photographs: TopPatches) -> None:
        read = earlier.same("data", InputFile(inputs["data"], photographs.digest))
        record["inputs"]["data"] = asdict(read)

    def save(images: list[Visualization]) -> None:
        record.update(asdict(settings), interrupted=True)
        write_png(out, draw(images), record)

    found = run(
        classifier, settings, progress, direction=inputs.get("direction"), data=inputs.get("data"),
        on_photographs=on_photographs, on_images=save, every=every,
    )  # fmt: skip
    record |= {**asdict(found.settings), "interrupted": found.interrupted}
    sheet = draw(found.visualizations)
    write_png(out, sheet, record)
    if found.interrupted:
        progress.info(f"interrupted after {found.steps} steps; {out} has the images so far")
    more: dict[str, Any] = {"visualizations": [describe(each) for each in found.visualizations]}
    if found.photographs is not None:
        more["photographs"] = {"seen": found.photographs.seen, "skipped": found.photographs.skipped}
    return sheet, more


def draw(visualizations: Sequence[Visualization]) -> NDArray[np.uint8]:
    """One image alone as it is; else all of them in a sheet with labels: uint8 [H, W, 3]."""
    first = visualizations[0]
    if len(visualizations) == 1 and len(first.images) == 1 and not len(first.opposite) and not first.patches:
        alone: NDArray[np.uint8] = first.images[0]
        return alone
    panels = [_panel(each) for each in visualizations]
    least = TILE_WITH_PATCHES if any(each.patches for each in visualizations) else TILE
    return draw_sheet(panels, max(first.images.shape[1], least))


def _panel(each: Visualization) -> Panel:
    parts = [Part(each.label, list(each.images))]
    if len(each.opposite):
        parts.append(Part("negative", list(each.opposite)))
    if each.patches:
        values = f"{each.patches[0].value:.3g} to {each.patches[-1].value:.3g}"
        parts.append(Part(f"photographs: {values}", [patch.pixels for patch in each.patches[:COUNT]], ACROSS))
    return parts
