"""Files of weights of any origin, read as named tensors. Nothing in them is ever run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inceptorch.classifier.convert.caffe import read_caffemodel
from inceptorch.errors import BundleError
from inceptorch.models.weights import looks_pickled, read_safetensors
from inceptorch.utils.files import os_error_reason, reading

WRAPPED = ("state_dict", "model", "state_dict_ema", "model_ema")  # what training scripts put around the tensors


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth, .npz or .caffemodel file, by the names they have there. Raises
    BundleError."""
    readers = {
        ".safetensors": read_safetensors,
        ".npz": read_npz,
        ".caffemodel": read_caffemodel,
        **dict.fromkeys((".pth", ".pt", ".bin", ".tar"), read_pth),
    }
    if path.suffix not in readers:
        raise BundleError(
            f"Cannot read {path}: {path.suffix!r} is none of .safetensors, .pth (torchvision, timm), .caffemodel and "
            ".npz (Caffe). Try one of these."
        )
    if not path.exists():
        raise BundleError(f"{path} does not exist.")
    tensors = readers[path.suffix](path)
    if not tensors:
        raise BundleError(f"{path} holds no tensors.")
    return tensors


def read_pth(path: Path) -> dict[str, Tensor]:
    """A state dict that `torch.save` wrote. torch's reader for weights alone knows tensors and plain containers and
    refuses every other thing that a pickle could ask for. Raises BundleError."""
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"{path} could not be read: {os_error_reason(error)}.") from None
    except Exception as error:  # a damaged file can make the reader stumble anywhere
        if isinstance(error, pickle.UnpicklingError) and looks_pickled(path):
            raise BundleError(
                f"{path} holds more than tensors, which could run code, so it is not opened; save its state_dict alone."
            ) from None
        raise BundleError(f"{path} is not a file that torch.save wrote, or is damaged.") from None
    for key in WRAPPED:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not (isinstance(held, dict) and held and all(_is_plain(value) for value in held.values())):
        raise BundleError(f"{path} does not hold plain tensors by name alone: save the model's state_dict().")
    return {str(name).removeprefix("module."): value for name, value in held.items()}


def read_npz(path: Path) -> dict[str, Tensor]:
    """Arrays by name. Raises BundleError for anything else; nothing is ever unpickled."""
    try:
        with reading(path, BundleError), np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.array(archive[name], np.float32)) for name in archive.files}
    except (ValueError, TypeError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        if "Object arrays" in str(error) or looks_pickled(path):
            raise BundleError(f"{path} holds a pickle, which could run code when read, so it is not opened.") from None
        raise BundleError(f"{path} is not an .npz file of arrays, or is damaged: {error}.") from None


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
