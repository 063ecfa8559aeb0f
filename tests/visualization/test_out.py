"""Whether a file can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from inceptorch.errors import InceptorchError
from inceptorch.visualization.out import require_writable


def test_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    image = tmp_path / "in.png"
    image.touch()

    def refused(out: Path, said: str) -> None:
        with pytest.raises(InceptorchError, match=f"Cannot write .*: {said}"):
            require_writable(out, [image, None, "googlenet.bvlc"])

    require_writable(tmp_path / "new.PNG", [image])
    require_writable(tmp_path / "new.mp4", [image], (".webp", ".mp4"))
    refused(tmp_path / "new.jpg", r"its name must end in \.png\. Try new\.png\.")
    refused(tmp_path / "none" / "new.png", r"there is no folder .*none\. Try another --out\.")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "it is a folder")
    refused(image, "it is an input")
    (tmp_path / "link.png").symlink_to(image)
    refused(tmp_path / "link.png", "it is an input")
