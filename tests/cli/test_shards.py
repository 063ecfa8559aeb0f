"""The command `shards`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inceptorch.data import find_split
from tests.conftest import COLORS

CLASSES = tuple(COLORS)


def test_unreadable_images_are_left_out_and_named(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inceptorch.cli import main

    (images / "train" / "red" / "03.png").write_bytes(b"broken")
    monkeypatch.setattr(sys, "argv", ["inceptorch", "shards", str(images), str(tmp_path / "out"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert ended.value.code == 0
    assert (said["images"], said["shards"], said["classes"]) == (47, 2, list(CLASSES))
    assert [Path(one["file"]).name for one in said["skipped"]] == ["03.png"]
    assert "left out 1 unreadable image:" in err
    assert len(find_split(tmp_path / "out", CLASSES, "train")) == 35


def test_without_the_library_a_sentence_says_how_to_install_it(images: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['webdataset'] = None; from inceptorch.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "shards", str(images), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        "inceptorch: Cannot do this without webdataset, which is not installed. Try: pip install 'inceptorch[shards]'"
        in done.stderr
    )
