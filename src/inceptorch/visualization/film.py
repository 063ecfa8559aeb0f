"""Frames as a film: animated WebP by Pillow, or MP4 by ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.errors import InceptorchError, RunError
from inceptorch.utils.files import atomic_write, os_error_reason

SUFFIXES = (".webp", ".mp4")
FPS = 12
QUALITY = 85  # of WebP, of 100


def require_ffmpeg(path: Path) -> None:
    """Raise InceptorchError if the film at `path` is one that only ffmpeg writes, and there is none."""
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise InceptorchError(
            f"Cannot write {path}: ffmpeg is not installed. Try --out {path.with_suffix('.webp').name}."
        )


def write_film(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write frames, uint8 [H, W, 3] or [H, W, 4], as the kind of film that the name of `path` tells.

    Where ffmpeg fails, they are written as WebP beside it, so that nothing is lost. Raises RunError.
    """
    if path.suffix.lower() == ".webp":
        _write_webp(path, frames)
        return
    try:
        atomic_write(path, lambda temporary: _run_ffmpeg(temporary, frames))
    except RunError as error:
        instead = path.with_name(f"{path.name}.webp")
        _write_webp(instead, frames)
        raise RunError(f"{str(error).removesuffix('.')}. The film is in {instead}.") from None


def _write_webp(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    first, *others = (Image.fromarray(frame) for frame in frames)
    options = {"save_all": True, "append_images": others, "duration": round(1000 / FPS), "loop": 0, "quality": QUALITY}
    atomic_write(path, lambda temporary: first.save(temporary, "WEBP", **options))


def _run_ffmpeg(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    height, width = frames[0].shape[:2]
    words = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24"]
    words += ["-video_size", f"{width}x{height}", "-framerate", str(FPS), "-i", "pipe:0"]
    # Players expect colors of half the size, which needs even sides.
    words += ["-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p", "-f", "mp4", f"file:{path.absolute()}"]
    with tempfile.TemporaryFile() as complaints:
        try:
            with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=complaints) as process:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it has ended, and says why
                    for frame in frames:
                        process.stdin.write(frame[..., :3].tobytes())
                    process.stdin.close()
        except OSError as error:
            raise RunError(f"Cannot run ffmpeg: {os_error_reason(error)}.") from None
        complaints.seek(0)
        lines = complaints.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise RunError(f"ffmpeg could not write the film: {lines[-1] if lines else f'exit code {process.returncode}'}.")
