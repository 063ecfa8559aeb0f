"""PNG files that hold the settings they were made with, so that they can be made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from inceptorch.errors import ImageError, InceptorchError
from inceptorch.utils.files import atomic_write, open_regular, reading

KEY = "inceptorch"
MAX_SETTINGS = 1 << 20  # characters


def write_png(path: Path, image: NDArray[np.uint8], settings: dict[str, Any]) -> None:
    """Write uint8 [H, W, 3] or [H, W, 4] with its settings as the text `inceptorch`. Raises RunError."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(KEY, json.dumps(settings, ensure_ascii=False))
    atomic_write(path, lambda temporary: Image.fromarray(image).save(temporary, "PNG", pnginfo=info))


def read_settings(path: Path, command: str) -> dict[str, Any]:
    """The settings that `write_png` put into a file made by `command`. Raises InceptorchError."""
    with reading(path, InceptorchError), open_regular(path) as file:
        try:
            text = Image.open(file, formats=["PNG"]).info.get(KEY)  # it lies before the pixels, which are not decoded
        except (SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
            raise ImageError(path, "is no PNG image that can be read") from None
    refusal = f"Cannot make {path} again: it holds no settings of inceptorch {command}. Try a PNG written by it."
    try:
        settings = json.loads(text) if text and len(text) <= MAX_SETTINGS else None
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or settings.get("command") != command:
        raise InceptorchError(refusal)
    return settings
