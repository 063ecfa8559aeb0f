"""`inceptorch visualize`: a PNG file that holds how it was made."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch import __version__
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import HUB, load
from inceptorch.data.locator import TORCHVISION, URL
from inceptorch.errors import InceptorchError
from inceptorch.images.limits import read_image_file
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.fingerprint import fingerprint
from inceptorch.utils.files import reading
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import build
from inceptorch.visualization.map_tiles import draw_maps
from inceptorch.visualization.patches import COUNT, TopPatches
from inceptorch.visualization.png import read_settings, write_png
from inceptorch.visualization.sheet import Panel, Part, draw_sheet
from inceptorch.visualization.visualize import Visualization, VisualizeSettings, describe, run

COMMAND = "visualize"
TILE, TILE_WITH_PATCHES = 128, 192  # pixels at least, of an image in a sheet
ACROSS = 3  # patches on a tile's side
MAX_THREADS = 4096


def write(
    model: str | None,
    settings: dict[str, Any],
    out: Path,
    *,
    repeat: Path | None = None,
    every: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Optimize images, or show an image's maps, into the file `out`. `settings` are fields of `VisualizeSettings`.

    repeat    a PNG of an earlier call, whose model and settings hold where none are given; weights and files must be
              the same, and the file is then made again byte for byte on the same machine
    every     also write the images so far after so many steps

    Returns the JSON form. Raises KeyboardInterrupt after Ctrl-C, when the images so far are written, and
    InceptorchError for what cannot be done, before any work where that is known.
    """
    progress, began = progress or Progress(), time.monotonic()
    before: dict[str, Any] = {}
    if repeat is not None:
        before = read_settings(repeat, COMMAND)
        model, settings = _repeated(before, repeat, model, settings)
    if model is None:
        raise InceptorchError("Cannot visualize without a model. Try inceptorch visualize MODEL LAYER.")
    chosen = VisualizeSettings(**settings)
    check_out(out, [each for each in (chosen.direction, chosen.image, chosen.data, repeat) if each is not None])
    classifier = load(model).to_best_device()
    record: dict[str, Any] = {
        "command": COMMAND,
        "version": __version__,
        "model": model,
        "weights": fingerprint(open_engine(classifier, "torch")),
        "threads": torch.get_num_threads(),
        "inputs": [_hashed(file) for file in (chosen.direction, chosen.image) if file is not None],
    }

    def require_same() -> None:
        if repeat is not None:
            _require_same(record, before, repeat)

    require_same()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(before.get("threads", threads))
        record["threads"] = torch.get_num_threads()
        if chosen.image is not None:
            result = _write_maps(classifier, chosen, out, record)
        else:
            result = _write_optimized(classifier, chosen, out, record, require_same, every, progress)
    finally:
        torch.set_num_threads(threads)
    return {**result, "seconds": round(time.monotonic() - began, 3)}


def _write_maps(
    classifier: Classifier, settings: VisualizeSettings, out: Path, record: dict[str, Any]
) -> dict[str, Any]:
    assert settings.image is not None
    if settings.layer is None or ":" in settings.layer:
        raise InceptorchError("Cannot show the maps of an image without a layer. Try 4c, with --channels for some.")
    sheet, channels = draw_maps(classifier, settings.image, settings.layer, settings.channels)
    record |= asdict(settings)
    write_png(out, sheet, record)
    return {"file": str(out), "settings": record, "channels": channels}


def _write_optimized(
    classifier: Classifier,
    chosen: VisualizeSettings,
    out: Path,
    record: dict[str, Any],
    require_same: Callable[[], None],
    every: int,
    progress: Progress,
) -> dict[str, Any]:
    """`require_same` is called once the photographs are in the record."""

    def on_photographs(photographs: TopPatches) -> None:
        record["inputs"].append({"file": chosen.data, "sha256": photographs.digest})
        require_same()

    def save(visualizations: list[Visualization], settings: VisualizeSettings = chosen, **more: Any) -> None:
        write_png(out, draw(visualizations), {**record, **asdict(settings), **more})

    found = run(
        classifier, chosen, progress, on_photographs=on_photographs,
        on_images=lambda so_far: save(so_far, interrupted=True), every=every,
    )  # fmt: skip
    settings = found.settings
    if found.interrupted:
        settings = replace(settings, steps=max(found.steps, 1))
        save(found.visualizations, settings, interrupted=True)
        progress.info(f"interrupted after {found.steps} steps; {out} has the images so far")
        raise KeyboardInterrupt
    save(found.visualizations, settings)
    result = {
        "file": str(out),
        "settings": record | asdict(settings),
        "visualizations": [describe(each) for each in found.visualizations],
    }
    if found.photographs is not None:
        result["photographs"] = {"seen": found.photographs.seen, "skipped": found.photographs.skipped}
    return result


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


def check_out(out: Path, inputs: Sequence[str | Path]) -> None:
    """Raise InceptorchError for a file that could not be written later, or that is one of the inputs."""
    if out.suffix.lower() != ".png":
        raise InceptorchError(f"Cannot write {out}: the images are PNG. Try {out.with_suffix('.png').name}.")
    folder = out.parent
    if not folder.is_dir():
        raise InceptorchError(f"Cannot write {out}: {folder} is no folder. Create it first.")
    if out.is_dir() or not os.access(folder, os.W_OK):
        why = "it is a folder" if out.is_dir() else f"{folder} may not be written to"
        raise InceptorchError(f"Cannot write {out}: {why}. Try another --out.")
    for each in inputs:
        if out.exists() and os.path.exists(each) and os.path.samefile(out, each):
            raise InceptorchError(f"Cannot write {out}: it is an input. Try another --out.")


def _repeated(
    before: dict[str, Any], repeat: Path, model: str | None, given: dict[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """The model and the settings of an earlier call, with those that are given now. Whoever made the file chose what it
    says: it is checked as any input is, and never names what would be fetched or written."""
    names = {field.name for field in fields(VisualizeSettings)}
    kept = {name: before[name] for name in names if before.get(name) is not None}
    if given.keys() & {"layer", "target"}:  # one stands in for the other
        kept = {name: value for name, value in kept.items() if name not in ("layer", "target")}
    values = kept | given
    build(VisualizeSettings, values, f"{repeat}", InceptorchError)
    data = kept.get("data")
    if "data" not in given and isinstance(data, str) and (URL in data or data.startswith(TORCHVISION)):
        raise InceptorchError(f"Cannot make {repeat} again without its images, which would be fetched. Try --data.")
    threads = before.get("threads")
    if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise InceptorchError(f"Cannot make {repeat} again: its number of threads is {threads!r}. Try without --from.")
    if model is None:
        model = before.get("model")
        if not isinstance(model, str) or model.startswith(HUB):
            raise InceptorchError(f"Cannot make {repeat} again without a model. Try inceptorch visualize MODEL --from.")
    return model, values


def _require_same(record: dict[str, Any], before: dict[str, Any], repeat: Path) -> None:
    """Raise InceptorchError where weights or inputs differ from those that a file was made with."""
    if record["weights"] != before.get("weights"):
        raise InceptorchError(f"Cannot make {repeat} again: {record['model']} has other weights than it was made with.")
    inputs = before.get("inputs")
    for each in inputs if isinstance(inputs, list) else []:
        now = next(
            (one for one in record["inputs"] if isinstance(each, dict) and one["file"] == each.get("file")), None
        )
        if now is not None and now != each:
            raise InceptorchError(f"Cannot make {repeat} again: {now['file']} is not what it was.")


def _hashed(file: str) -> dict[str, str]:
    with reading(file, InceptorchError):
        return {"file": file, "sha256": hashlib.sha256(read_image_file(file)).hexdigest()}
