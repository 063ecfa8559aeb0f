"""Named tensors of a safetensors file, as torch or NumPy hold them: their hash, and what a network wants of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from inceptorch.errors import BundleError
from inceptorch.utils.files import reading, require_regular

HASH = "sha256"  # key of the hash in a file's metadata; files of versions before 0.3 have none


def read_checked(path: Path, framework: str, byte: Any = np.uint8) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors and texts of a safetensors file, as "np" holds them; or "pt", with `byte=torch.uint8`.

    Raises BundleError unless they are those that were written; a file without a hash is taken as it is. Other errors
    are the library's.
    """
    with safe_open(path, framework=framework) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        texts = dict(file.metadata() or {})
    expected = texts.pop(HASH, None)
    if expected is not None and sha256(tensors, texts, byte) != expected:
        raise BundleError(
            f"Cannot read {path}: it is damaged and does not hold what was written. Try copying it again, or making "
            "it again."
        )
    return tensors, texts


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file, without torch. Raises BundleError."""
    require_regular(path, BundleError)
    try:
        with reading(path, BundleError):
            return read_checked(path, "np")[0]
    except (SafetensorError, ValueError, AttributeError, TypeError, KeyError):  # the last three for types unknown here
        raise BundleError(
            f"Cannot read {path}: it is not a safetensors file of numbers that NumPy knows, or is damaged. Try "
            "copying it again, or making it again."
        ) from None


def sha256(tensors: Mapping[str, Any], texts: Mapping[str, str], byte: Any = np.uint8) -> str:
    """The hash of texts, and of names, types, shapes and bytes of arrays; of torch's tensors on the CPU with
    `byte=torch.uint8`."""
    digest = hashlib.sha256()
    for key, text in sorted(texts.items()):
        digest.update(f"{key} {text}\n".encode())
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name} {kind} {list(tensor.shape)}\n".encode())
        digest.update(np.asarray(tensor.reshape(-1).view(byte)).data)
    return digest.hexdigest()


def check_tensors(
    tensors: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], integers: Collection[str], source: str | Path
) -> None:
    """Raise BundleError, naming the first difference, unless names and shapes are the `expected` ones, and all numbers
    are floating point except those of `integers`."""
    for name in (*expected, *(tensors.keys() - expected.keys())):
        if name not in tensors:
            difference = f"it has no {name}"
        elif name not in expected:
            difference = f"it also has {name}"
        elif (shape := tuple(tensors[name].shape)) != expected[name]:
            difference = f"{name} is {list(shape)}, not {list(expected[name])}"
        elif ("float" in str(tensors[name].dtype)) == (name in integers):
            difference = f"{name} holds {str(tensors[name].dtype).removeprefix('torch.')}"
        else:
            continue
        raise BundleError(f"Cannot use {source}: it does not fit its network: {difference}.")
