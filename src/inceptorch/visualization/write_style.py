"""Style transfer from files to a file, which says how it was made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from inceptorch.errors import InceptorchError
from inceptorch.runtime.device import torch_threads
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import convert
from inceptorch.visualization.origin import Origin, check_out
from inceptorch.visualization.png import write_png
from inceptorch.visualization.style import StyledImage, StyleSettings, default_model, load_for_style, style

COMMAND = "style"


def write_style(
    out: Path,
    inputs: Sequence[Path],
    values: Mapping[str, Any],
    *,
    model: str | None = None,
    net: str | None = None,
    repeat: Path | None = None,
    every: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the image `inputs[0]` in the style of the others to `out`, a PNG with its settings.

    values   of `StyleSettings`, by name
    repeat   an image that this wrote: its weights and settings are used but where others are given, and its inputs.
             Files of `inputs` must be those it was made from.
    every    number of steps after which the image so far is written; 0: only at the end

    Returns what `--json` prints. Raises as `style` does, and RunError where `out` cannot be written.
    """
    before = None
    if repeat is not None:
        before, said = Origin.read(repeat, COMMAND)
        values = {field.name: said[field.name] for field in fields(StyleSettings) if field.name in said} | dict(values)
        net = net or convert(said.get("net"), str | None, f"{repeat}: net", InceptorchError)
        inputs = inputs or [Path(each.file) for each in before.inputs]
        if model is None:
            before.require_local(repeat)
            model = before.model
    if len(inputs) < 2:
        raise InceptorchError("Cannot run inceptorch style: CONTENT or STYLE is missing. Try inceptorch style --help.")
    check_out(out, inputs)
    settings = StyleSettings(**values)
    model = model or default_model(net)
    classifier = load_for_style(model, net)
    progress = progress or Progress()
    if classifier.config.architecture.startswith("inception_v3"):
        progress.info("Inception-v3 gives poor images; why it does is an open question. googlenet.bvlc gives good ones")
    began = time.monotonic()
    with torch_threads(before.threads if before else torch.get_num_threads()):
        origin = Origin.of(classifier, model, inputs)
        if before is not None and repeat is not None:
            before.require_same(origin, repeat)
        about = origin.to_dict(COMMAND, {"net": net, **asdict(settings)})

        def write(made: StyledImage) -> None:
            taken = {"steps_taken": len(made.sizes), "interrupted": made.interrupted}
            write_png(out, made.image, about | taken)

        made = style(
            inputs[0], inputs[1:], settings, model=classifier, net=net, progress=progress, every=every, on_image=write
        )
        write(made)
    height, width = made.image.shape[:2]
    return {
        "file": str(out), "width": width, "height": height, "interrupted": made.interrupted, "sizes": made.sizes,
        "losses": made.losses, "seconds": time.monotonic() - began, "settings": about,
    }  # fmt: skip
