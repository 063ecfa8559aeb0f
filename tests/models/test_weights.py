"""Weights as files of named tensors, and fitting them to a model."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from inceptorch.errors import BundleError
from inceptorch.models.weights import adapt_channels, fit, read_safetensors, write_safetensors


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bias": None}, "it has no bias"),
        ({"weight": torch.zeros(2, 4)}, r"weight is \[2, 4\], not \[2, 3\]"),
        ({"more": torch.zeros(1)}, "it also has more"),
    ],
)
def test_the_first_difference_is_named(change: dict[str, Tensor | None], sentence: str) -> None:
    model = nn.Linear(3, 2)
    tensors = {name: tensor for name, tensor in (model.state_dict() | change).items() if tensor is not None}
    with pytest.raises(BundleError, match=f"w.safetensors: it does not fit its network: {sentence}"):
        fit(model, tensors, "w.safetensors")


def test_tensors_come_back_and_a_pickle_is_not_opened(tmp_path: Path) -> None:
    weight = torch.arange(6.0).view(2, 3).T
    write_safetensors(tmp_path / "a.safetensors", {"weight": weight}, {})
    assert torch.equal(read_safetensors(tmp_path / "a.safetensors")["weight"], weight)
    torch.save({"weight": weight}, tmp_path / "b.pth")
    with pytest.raises(BundleError, match="is a pickle, which could run code"):
        read_safetensors(tmp_path / "b.pth")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"weight": [0.5] * 9}))
    with pytest.raises(BundleError, match="is a pickle, which could run code"):
        read_safetensors(tmp_path / "c.pkl")
    # Cut off, with a header of 128 bytes: as a pickle's, its first byte is 80.
    (tmp_path / "d.safetensors").write_bytes((128).to_bytes(8, "little") + b'{"weight":')
    with pytest.raises(BundleError, match="damaged"):
        read_safetensors(tmp_path / "d.safetensors")


def test_the_same_tensors_and_texts_make_the_same_bytes(tmp_path: Path) -> None:
    texts = {f'{number} \u00e9\n"': f"text {number}\t\x1f" for number in range(9)}
    for name in ("a", "b"):
        write_safetensors(tmp_path / name, {"weight": torch.arange(6.0), "\u00e9": torch.ones(2, 3)}, texts)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert {**file.metadata(), "sha256": ""} == {**texts, "sha256": ""}
    assert set(read_safetensors(tmp_path / "a")) == {"weight", "\u00e9"}


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_other_channels_keep_the_sum_of_equal_inputs(channels: int) -> None:
    weight = torch.ones(5, 3, 1, 1)
    torch.testing.assert_close(adapt_channels(weight, channels).sum(1), weight.sum(1))
