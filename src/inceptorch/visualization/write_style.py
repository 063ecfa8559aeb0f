"""`inceptorch style`: a PNG that holds how it was made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inceptorch.errors import InceptorchError
from inceptorch.utils.files import require_writable
from inceptorch.utils.progress import Progress
from inceptorch.visualization.default_model import open_classifier
from inceptorch.visualization.png import write_png
from inceptorch.visualization.record import Repeat, to_json
from inceptorch.visualization.style import StyledImage, StyleSettings, default_model, run


def write_style(
    out: Path,
    content: Path | None,
    styles: Sequence[Path],
    values: Mapping[str, Any],
    *,
    model: str | None = None,
    repeat: Path | None = None,
    every: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the image `content` in the style of others to `out`, a PNG with its settings.

    values   of `StyleSettings`, by name
    repeat   a PNG of an earlier call; see `Repeat`
    every    number of steps after which the image so far is written; 0: only at the end

    Returns the JSON form, with "losses" by layer and step, and the long side at each step as "sizes". Raises as `style`
    does, and InceptorchError if `out` cannot be written.
    """
    began, progress = time.monotonic(), progress or Progress()
    earlier = Repeat(repeat, "style")
    settings = earlier.settings(StyleSettings, values)
    before = [] if earlier.record is None else list(earlier.record.inputs)
    named = {"content": content} | {f"style {number}": path for number, path in enumerate(styles, 1)}
    inputs = earlier.inputs(dict.fromkeys(before) | named)
    examples = [path for name, path in inputs.items() if name != "content"]
    if "content" not in inputs or not examples:
        raise InceptorchError("Cannot transfer style: CONTENT or STYLE is missing. Try inceptorch style CONTENT STYLE.")
    require_writable(out, [".png"], [*inputs.values(), repeat])
    name = earlier.model(model) or default_model(settings.net)
    classifier = open_classifier(name)
    with earlier.threads():
        record = earlier.describe(name, classifier, inputs) | asdict(settings)

        def save(made: StyledImage, interrupted: bool = True) -> None:
            record["interrupted"] = interrupted
            write_png(out, made.image, record)

        made = run(inputs["content"], examples, classifier, settings, progress, every=every, on_image=save)
        save(made, made.interrupted)
    return to_json(out, made.image, record, began, sizes=made.sizes, losses=made.losses)
