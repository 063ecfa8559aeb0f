"""Weights as files of named tensors: reading them without running anything, and fitting them to a model."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from inceptorch.errors import BundleError
from inceptorch.utils.files import atomic_write, reading, require_regular
from inceptorch.utils.tensors import HASH, check_tensors, read_checked, sha256


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises BundleError for anything else; nothing is ever unpickled."""
    require_regular(path, BundleError)
    try:
        with reading(path, BundleError):
            tensors, _ = read_checked(path, "pt", torch.uint8)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and tensor.element_size() < 2:  # few operations are defined for these
                raise BundleError(f"Cannot use {path}: it holds {name} as {tensor.dtype}. Try saving it in float32.")
        return tensors
    except SafetensorError:
        if looks_pickled(path):
            raise BundleError(
                f"Cannot read {path}: it is a pickle, which could run code. Try inceptorch convert, which reads the "
                "tensors of a .pth file alone."
            ) from None
        raise BundleError(
            f"Cannot read {path}: it is not a safetensors file, or is damaged. Try copying it again, or making it "
            "again."
        ) from None


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and texts with their hash as a safetensors file, whole or not at all. Raises RunError."""

    def write(temporary: Path) -> None:
        written = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            save_file(written, temporary, {**metadata, HASH: sha256(written, metadata, torch.uint8)})
        except SafetensorError as error:  # a full disk comes as this
            number = re.search(r"os error (\d+)", str(error))
            why = (int(number[1]), os.strerror(int(number[1]))) if number else (str(error),)
            raise OSError(*why) from None
        _sort_metadata(temporary)

    atomic_write(path, write)


def _sort_metadata(path: Path) -> None:
    """Put the texts of a safetensors file in order: the library writes them in another each time."""
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        file.seek(8)
        file.write(json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(length))


def fit(model: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load `tensors` into `model` if names and shapes agree exactly. Raises BundleError naming the first other one."""
    state = model.state_dict()
    integers = [name for name, tensor in state.items() if not tensor.is_floating_point()]
    check_tensors(tensors, {name: tuple(tensor.shape) for name, tensor in state.items()}, integers, source)
    model.load_state_dict(dict(tensors))


def adapt_channels(weight: Tensor, in_chans: int) -> Tensor:
    """The first convolution's weight [out, in, kh, kw] for another number of input channels.

    One channel gets the sum of the given ones; others repeat them, scaled so that the sum stays as it was."""
    given = weight.shape[1]
    if in_chans == given:
        return weight
    if in_chans == 1:
        return weight.sum(1, keepdim=True)
    repeated = weight.repeat(1, -(-in_chans // given), 1, 1)[:, :in_chans]
    return repeated * (given / in_chans)


def looks_pickled(path: Path) -> bool:
    """Whether a file is a pickle, or a zip archive holding one, as `torch.save` writes."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
        # A safetensors file may begin so, too: with 8 bytes of its header's length, before the header itself.
        if head[:1] == b"\x80" and head[8:] != b"{":
            return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
