"""Films."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inceptorch.errors import InceptorchError, RunError
from inceptorch.visualization.film import require_ffmpeg, write_film

FAILING = "#!/bin/sh\ncat > /dev/null\necho 'no encoder here' >&2\nexit 3\n"
DYING = "#!/bin/sh\nexit 1\n"


def frames(count: int = 3, channels: int = 3) -> list[NDArray[np.uint8]]:
    return [np.full((33, 47, channels), 60 + 40 * number, np.uint8) for number in range(count)]


def ffmpeg(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an ffmpeg of our own first on the PATH."""
    folder.mkdir()
    (folder / "ffmpeg").write_text(script)
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_holds_the_frames(tmp_path: Path, channels: int) -> None:
    write_film(tmp_path / "film.webp", frames(channels=channels))
    with Image.open(tmp_path / "film.webp") as film:
        assert (film.format, film.size, film.n_frames) == ("WEBP", (47, 33), 3)  # type: ignore[attr-defined]
        for number in range(3):
            film.seek(number)
            np.testing.assert_allclose(np.asarray(film.convert("RGB")), 60 + 40 * number, atol=6)
        assert (film.mode == "RGBA") == (channels == 4)


def test_mp4_without_ffmpeg_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InceptorchError, match=r"film.mp4: ffmpeg is not installed\. Try --out film\.webp\."):
        require_ffmpeg(tmp_path / "film.mp4")
    require_ffmpeg(tmp_path / "film.webp")


@pytest.mark.parametrize(("script", "reason"), [(FAILING, "no encoder here"), (DYING, "exit code 1")])
def test_where_ffmpeg_fails_the_frames_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    ffmpeg(tmp_path / "bin", script, monkeypatch)
    out = tmp_path / "film.mp4"
    with pytest.raises(
        RunError, match=rf"ffmpeg could not write the film: {reason}\. The film is in .*film\.mp4\.webp"
    ):
        write_film(out, frames())
    assert not out.exists()
    with Image.open(tmp_path / "film.mp4.webp") as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_writes_the_film(tmp_path: Path) -> None:
    out = tmp_path / "a film: with %20 -odd.mp4"
    write_film(out, frames(5, 4))
    content = out.read_bytes()
    assert content[4:8] == b"ftyp"
    assert len(content) > 500
