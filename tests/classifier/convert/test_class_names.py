"""Names for classes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from inceptorch.classifier.convert.class_names import class_names, read_labels
from inceptorch.cli import app
from inceptorch.errors import BundleError


def test_labels_of_the_wrong_length_are_refused(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    result = CliRunner().invoke(
        app, ["convert", str(npz), "--out", str(tmp_path / "o"), "--labels", str(tmp_path / "names.txt")]
    )
    assert "names 2 classes; the weights have 1000" in str(result.exception)
    assert not (tmp_path / "o").exists()


def test_synset_numbers_are_dropped_and_equal_names_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("n02012849 crane\nn03126707 crane\n\nn01440764 tench, Tinca\nplain\n")
    assert read_labels(tmp_path / "words.txt") == ["crane (n02012849)", "crane (n03126707)", "tench, Tinca", "plain"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_labels_in_the_encodings_of_windows(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "names.txt").write_bytes("c\u00e9\r\ntea\r\n".encode(encoding))
    assert read_labels(tmp_path / "names.txt") == ["c\u00e9", "tea"]


def test_weights_without_names_have_numbers_or_are_refused(tmp_path: Path) -> None:
    assert class_names(2, 2, None, tmp_path / "w.pth") == ["class 0", "class 1"]
    with pytest.raises(BundleError, match="Cannot name the 3 classes of the weights. Try --labels"):
        class_names(3, 2, None, tmp_path / "w.pth")
