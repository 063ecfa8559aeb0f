"""The hash of tensors, and what is refused of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from inceptorch.errors import BundleError
from inceptorch.models.weights import read_safetensors, write_safetensors
from inceptorch.utils.tensors import check_tensors, read_arrays, sha256


def test_torch_and_numpy_agree_on_the_hash() -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7), "none": torch.zeros(0, 2)}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    assert sha256(arrays, {"a": "b"}) == sha256(tensors, {"a": "b"}, torch.uint8) != sha256(arrays, {"a": "c"})
    for other in (
        arrays | {"b": arrays["a"]},
        arrays | {"a": arrays["a"].T},
        arrays | {"a": arrays["a"].view(np.int32)},
    ):
        assert sha256(other, {}) != sha256(arrays, {})


@pytest.mark.parametrize("reader", [read_safetensors, read_arrays])
def test_one_flipped_bit_is_noticed(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    file = tmp_path / "model.safetensors"
    write_safetensors(file, {"weight": torch.arange(1000.0), "half": torch.ones(3, dtype=torch.float16)}, {"a": "b"})
    assert set(reader(file)) == {"weight", "half"}
    content = bytearray(file.read_bytes())
    content[-1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="is damaged and does not hold what was written"):
        reader(file)
    save_file({"weight": np.ones(3, np.float32)}, file)  # as other programs and earlier versions write it
    assert set(reader(file)) == {"weight"}


def test_types_that_numpy_does_not_know_are_a_sentence(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}'
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(BundleError, match="is not a safetensors file of numbers that NumPy knows"):
        read_arrays(file)
    with pytest.raises(BundleError, match=r"it holds a as torch.float4\w*. Try saving it in float32"):
        read_safetensors(file)


def test_differences_are_named() -> None:
    expected = {"a": (2, 3), "count": ()}
    given = {"a": np.zeros((2, 3)), "count": np.array(1)}
    check_tensors(given, expected, {"count"}, "w")
    for change, sentence in (
        ({"a": np.zeros((3, 2))}, r"w: it does not fit its network: a is \[3, 2\], not \[2, 3\]"),
        ({"a": np.zeros((2, 3), np.int64)}, "a holds int64"),
        ({"count": np.array(1.0)}, "count holds float64"),
        ({"more": np.zeros(1)}, "it also has more"),
    ):
        with pytest.raises(BundleError, match=sentence):
            check_tensors(given | change, expected, {"count"}, "w")
    with pytest.raises(BundleError, match="it has no a"):
        check_tensors({"count": np.array(1)}, expected, {"count"}, "w")
