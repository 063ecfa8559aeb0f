"""A bundle's weights under the names of another library."""

from __future__ import annotations

from pathlib import Path

import torch

from inceptorch.classifier.convert.layer_names import NAMES, tensor_names
from inceptorch.classifier.hub import load
from inceptorch.errors import BundleError
from inceptorch.models.weights import write_safetensors
from inceptorch.networks.zoo import get_network
from inceptorch.utils.files import atomic_write, remove_leftovers


def export_weights(bundle: Path, out: Path) -> str:
    """Write the weights of a bundle as .safetensors or .pth, and return the library whose names they have.

    Raises BundleError if no library has this network, RunError if the file cannot be written.
    """
    given = load(bundle)
    if given.config.detection is not None:
        raise BundleError(f"Cannot write {bundle} for another library: it is a detector. Try inceptorch export.")
    model = given.model
    libraries = [each for each in NAMES.values() if each.library != "Caffe"]
    names = next((each for each in libraries if model.net.name in each.nets), None)
    if names is None:
        nets = ", ".join(name for each in libraries for name in each.nets)
        raise BundleError(
            f"Cannot write {bundle} for another library: it holds {model.net.name}, which no other library has. Try "
            f"{nets}."
        )
    if model.net.body != get_network(model.net.name).body:
        raise BundleError(
            f"Cannot write {bundle} for another library: it holds a table of one's own, which only has the name "
            f"{model.net.name}. Try `inceptorch export`."
        )
    if out.suffix not in (".safetensors", ".pth"):
        raise BundleError(f"Cannot write {out}: the name must end in .safetensors or .pth.")
    if out.exists():
        raise BundleError(f"Cannot write {out}: it exists already. Try another --out.")
    renamed = tensor_names(model, names)
    theirs = {renamed[name]: tensor.contiguous() for name, tensor in model.state_dict().items()}

    def save_pth(path: Path) -> None:
        try:
            torch.save(theirs, path)
        except RuntimeError as error:  # a full disk, a missing folder
            raise OSError(str(error)) from None

    remove_leftovers(out)
    if out.suffix == ".pth":
        atomic_write(out, save_pth)
    else:
        write_safetensors(out, theirs, {"format": "pt"})
    return names.library
