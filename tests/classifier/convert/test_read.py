"""Files of weights are read, never run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier.convert import import_weights
from inceptorch.errors import BundleError
from tests.conftest import Trap


def test_a_pickle_inside_an_npz_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickled = np.array([Trap(sprung)], dtype=object)
    np.savez(tmp_path / "w.npz", **{"conv1/7x7_s2.weight": pickled})  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="holds a pickle"):
        import_weights(tmp_path / "w.npz", tmp_path / "out")
    assert not sprung.exists()
    assert not (tmp_path / "out").exists()


def test_an_npz_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(BundleError, match="holds no network that inceptorch knows: its first tensor is 'a'"):
        import_weights(tmp_path / "w.npz", tmp_path / "out")
    (tmp_path / "t.npz").write_text("text")
    with pytest.raises(BundleError, match="not an .npz file of arrays"):
        import_weights(tmp_path / "t.npz", tmp_path / "out")


def test_a_pth_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"conv1.conv.weight": Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="could run code, so it is not opened"):
        import_weights(tmp_path / "w.pth", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("write_file", "sentence"),
    [
        (lambda path: path.write_bytes(b"no zip"), "not a file that torch.save wrote"),
        (lambda path: path.write_bytes(b"\x80"), "torch.save wrote|could run code"),
        (lambda path: torch.save({}, path), "does not hold plain tensors by name"),
        (lambda path: torch.save([1, 2], path), "does not hold plain tensors by name"),
        (
            lambda path: torch.save({"a": torch.zeros(2)}, path),
            "no network that inceptorch knows: its first tensor is 'a'",
        ),
        (lambda path: torch.save({"model": {"a": 3}}, path), "does not hold plain tensors by name"),
    ],
)
def test_damaged_and_foreign_pth_files(write_file: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    write_file(tmp_path / "w.pth")
    with pytest.raises(BundleError, match=sentence):
        import_weights(tmp_path / "w.pth", tmp_path / "out")
