"""Files of weights are read, never run."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier.convert import import_weights
from inceptorch.classifier.convert.read import read_tensors
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
    with pytest.raises(BundleError, match="holds no network that inceptorch knows; its first tensor is 'a'"):
        import_weights(tmp_path / "w.npz", tmp_path / "out")
    (tmp_path / "t.npz").write_text("text")
    with pytest.raises(BundleError, match="no .npz of arrays"):
        import_weights(tmp_path / "t.npz", tmp_path / "out")


def test_a_pth_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"conv1.conv.weight": Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="more than tensors, which could run code"):
        import_weights(tmp_path / "w.pth", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


def test_weights_that_were_saved_on_a_gpu_are_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save({"a": torch.arange(3.0)}, tmp_path / "w.pth")
    assert read_tensors(tmp_path / "w.pth")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("write_file", "sentence"),
    [
        (lambda path: path.write_bytes(b"no zip"), "not a file that torch.save wrote"),
        (lambda path: path.write_bytes(b"\x80"), "torch.save wrote|could run code"),
        (lambda path: torch.save({}, path), "does not hold plain tensors by name"),
        (lambda path: torch.save([1, 2], path), "does not hold plain tensors by name"),
        (
            lambda path: torch.save({"a": torch.zeros(2)}, path),
            "no network that inceptorch knows; its first tensor is 'a'",
        ),
        (lambda path: torch.save({"model": {"a": 3}}, path), "does not hold plain tensors by name"),
    ],
)
def test_damaged_and_foreign_pth_files(write_file: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    write_file(tmp_path / "w.pth")
    with pytest.raises(BundleError, match=sentence):
        import_weights(tmp_path / "w.pth", tmp_path / "out")


def test_what_unpacks_to_far_more_is_not_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "w.npz", a=np.zeros(2**25, np.float32))
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"0" * 2**27)
    for name in ("w.npz", "w.pth"):
        with pytest.raises(BundleError, match=rf"Cannot read .*{name}: its 0.1 MB unpack to 134.2 MB"):
            read_tensors(tmp_path / name)


def test_headers_that_promise_more_than_there_is_are_damaged(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + b"0" * 64)
    with pytest.raises(BundleError, match=r"damaged \(a.npy has \[1000000000000\] numbers, more than the file holds"):
        read_tensors(tmp_path / "w.npz")
    torch.save({"a": torch.zeros(1).expand(2**40)}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"damaged, as 'a' has \[1099511627776\] numbers, more than the file holds"):
        read_tensors(tmp_path / "w.pth")


def test_an_npz_keeps_its_types_and_a_compression_that_zip_lacks_is_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros((2, 3), np.float64), b=np.arange(3))
    read = read_tensors(tmp_path / "w.npz")
    assert {name: tensor.dtype for name, tensor in read.items()} == {"a": torch.float32, "b": torch.int64}
    content = (tmp_path / "w.npz").read_bytes()
    for offset in (content.index(b"PK\x03\x04") + 8, content.index(b"PK\x01\x02") + 10):
        content = content[:offset] + b"\x63" + content[offset + 1 :]
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(BundleError, match="damaged"):
        read_tensors(tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".caffemodel", ".safetensors"])
def test_pipes_are_not_opened(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"w{suffix}")
    with pytest.raises(BundleError, match="is a pipe or a device"):
        read_tensors(tmp_path / f"w{suffix}")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net._orig_mod."])
@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
def test_what_wrappers_put_in_front_of_names_is_taken_off(prefix: str, suffix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": torch.zeros(1) for name in ("conv1.weight", "model.bias")}
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": [{"lr": 0.1}]}, tmp_path / f"w{suffix}")
    assert set(read_tensors(tmp_path / f"w{suffix}")) == {"conv1.weight", "model.bias"}
