"""Files of weights of any origin, read as named tensors. Nothing in them is ever run."""

from __future__ import annotations

import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inceptorch.classifier.convert.caffe import read_caffemodel
from inceptorch.errors import BundleError
from inceptorch.models.weights import looks_pickled, read_safetensors
from inceptorch.utils.files import os_error_reason, reading, require_regular

WRAPPED = ("state_dict", "model", "state_dict_ema", "model_ema")  # what training scripts put around the tensors
# What wrappers put in front of every name: data parallel, torch.compile, Lightning.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
UNPACKED = 16  # times the size of a file that its tensors may take; weights hardly shrink in a zip


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth, .npz or .caffemodel file, by the names they have there. Raises
    BundleError."""
    readers = {
        ".safetensors": read_safetensors,
        ".npz": read_npz,
        ".caffemodel": read_caffemodel,
        **dict.fromkeys((".pth", ".pt", ".bin", ".tar", ".ckpt"), read_pth),
    }
    if path.suffix not in readers:
        raise BundleError(
            f"Cannot read {path}: {path.suffix!r} is none of .safetensors, .pth (torchvision, timm), .caffemodel and "
            ".npz (Caffe). Try one of these."
        )
    if not path.exists():
        raise BundleError(f"Cannot read {path}: it does not exist. Try the path of a file of weights.")
    tensors = readers[path.suffix](path)
    if not tensors:
        raise BundleError(f"Cannot read {path}: it holds no tensors. Try another file.")
    return tensors


def read_pth(path: Path) -> dict[str, Tensor]:
    """A state dict that `torch.save` wrote. torch's reader for weights alone knows tensors and plain containers and
    refuses every other thing that a pickle could ask for. Raises BundleError."""
    require_regular(path, BundleError)
    _check_unpacked(path)
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"Cannot read {path}: {os_error_reason(error)}.") from None
    except Exception as error:  # a damaged file can make the reader stumble anywhere
        if isinstance(error, pickle.UnpicklingError) and looks_pickled(path):
            raise BundleError(
                f"Cannot read {path}: it holds more than tensors, which could run code. Try saving its state_dict "
                "alone."
            ) from None
        raise BundleError(
            f"Cannot read {path}: it is not a file that torch.save wrote, or is damaged. Try another copy of it."
        ) from None
    for key in WRAPPED:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not (isinstance(held, dict) and held and all(_is_plain(value) for value in held.values())):
        raise BundleError(
            f"Cannot read {path}: it does not hold plain tensors by name alone. Try saving the model's state_dict()."
        )
    tensors = {str(name): value for name, value in held.items()}
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise BundleError(
                f"Cannot read {path}: it is damaged, as {name!r} has {list(tensor.shape)} numbers, more than the file "
                "holds."
            )
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def read_npz(path: Path) -> dict[str, Tensor]:
    """Arrays by name. Raises BundleError for anything else; nothing is ever unpickled."""
    try:
        require_regular(path, BundleError)
        _check_unpacked(path)
        with reading(path, BundleError), zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(".npy"): _array(archive, entry)
                for entry in archive.infolist()
                if entry.filename.endswith(".npy")
            }
    except (
        ValueError,
        TypeError,
        zipfile.BadZipFile,
        EOFError,
        AttributeError,
        NotImplementedError,
        zlib.error,
    ) as error:
        if "Object arrays" in str(error) or looks_pickled(path):
            raise BundleError(
                f"Cannot read {path}: it holds a pickle, which could run code when read. Try numpy.savez of the "
                "arrays alone."
            ) from None
        raise BundleError(
            f"Cannot read {path}: it is no .npz of arrays, or damaged ({error}). Try another copy."
        ) from None


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Tensor:
    """One array of an .npz file. Raises ValueError where its header asks for more than there is."""
    with archive.open(entry) as file:
        read = np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(file) != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
        if not kind.hasobject and math.prod(shape) * kind.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} has {list(shape)} numbers, more than the file holds")
    with archive.open(entry) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    return torch.from_numpy(array.astype(np.float32) if array.dtype.kind == "f" else array)


def _check_unpacked(path: Path) -> None:
    """Raise BundleError for a zip archive, as of np.savez and torch.save, that unpacks to far more than it is."""
    with reading(path, BundleError):
        size = path.stat().st_size
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
        except (zipfile.BadZipFile, NotImplementedError):  # other files are refused elsewhere
            return
    if unpacked > max(UNPACKED * size, 2**26):
        raise BundleError(
            f"Cannot read {path}: its {size / 1e6:.1f} MB unpack to {unpacked / 1e6:.1f} MB, as weights do not. "
            "Try saving them anew."
        )


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
