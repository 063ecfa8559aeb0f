"""Weights as files of named tensors: reading them without running anything, and fitting them to a model."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from inceptorch.errors import BundleError
from inceptorch.utils.files import atomic_write, reading


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises BundleError for anything else; nothing is ever unpickled."""
    try:
        with reading(path, BundleError), safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError:
        if looks_pickled(path):
            raise BundleError(
                f"{path} is a pickle, which could run code when read, so it is not opened; of a .pth file, "
                "`inceptorch convert` reads the tensors alone."
            ) from None
        raise BundleError(
            f"{path} is not a safetensors file, or is damaged; copy it again from where it came from, or make it again."
        ) from None


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and texts as a safetensors file, whole or not at all. Raises RunError."""

    def write(temporary: Path) -> None:
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))
        except SafetensorError as error:  # a full disk comes as this
            number = re.search(r"os error (\d+)", str(error))
            why = (int(number[1]), os.strerror(int(number[1]))) if number else (str(error),)
            raise OSError(*why) from None

    atomic_write(path, write)


def fit(model: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load `tensors` into `model` if names and shapes agree exactly. Raises BundleError naming the first other one."""
    expected = {name: [*tensor.shape] for name, tensor in model.state_dict().items()}
    given = {name: [*tensor.shape] for name, tensor in tensors.items()}
    for name in expected | given:
        if name not in given:
            difference = f"it has no {name}"
        elif name not in expected:
            difference = f"it also has {name}"
        elif given[name] != expected[name]:
            difference = f"{name} is {given[name]}, not {expected[name]}"
        else:
            continue
        raise BundleError(f"{source} does not fit its network: {difference}.")
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
            head = file.read(4)
        if head[:1] == b"\x80":
            return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
