"""Weights in and out: other libraries' files to bundles, and bundles to the names those libraries use."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from inceptorch.classifier.classifier import Classifier, load
from inceptorch.classifier.convert.files import read_tensors
from inceptorch.classifier.convert.names import NAMES, Names, tensor_names
from inceptorch.classifier.published import Published, get_weights, published
from inceptorch.errors import BundleError
from inceptorch.models.module import Model
from inceptorch.models.weights import fit, write_safetensors
from inceptorch.networks.zoo import get_network
from inceptorch.utils.files import atomic_write, ensure_empty, reading

IMAGENET = 1000  # classes


def convert(file: Path, out: Path, *, origin: str | None = None, labels: Path | None = None) -> Classifier:
    """Write the bundle of a file of weights, with the preprocessing they were trained with, to the folder `out`.

    file    .safetensors, .pth, .caffemodel or .npz
    origin  the name of the published weights that it holds, or whose preprocessing it shares; found out where the
            file leaves no doubt
    labels  a file of class names, a line each

    Raises BundleError or RunError; the folder is written whole or not at all.
    """
    ensure_empty(out)
    tensors = read_tensors(file)
    for name, tensor in tensors.items():
        if tensor.is_complex() or not tensor.isfinite().all():
            raise BundleError(f"{file} holds numbers in {name!r} that are not real and finite.")
    names = _recognized(tensors, file)
    source = get_weights(origin) if origin else _guessed(names, tensors, file)
    if source.net not in names.nets:
        raise BundleError(f"{file} holds a network like {names.nets[0]}, not {source.net} as in {source.name}.")
    model, ours = _renamed(tensors, names, source, file, labelled=labels is not None)
    fit(model, ours, file)
    classes = _classes(model.num_classes, source, labels, file)
    classifier = Classifier.of(model, source.pixels, classes, source.metadata(), aux_heads=True)
    classifier.save(out)
    return classifier


def export(bundle: Path, out: Path) -> str:
    """Write a bundle's weights under the names that another library uses, as .safetensors or .pth, and say which.

    Raises BundleError if no library has this network, RunError if the file cannot be written.
    """
    classifier = load(bundle)
    model = classifier.model
    names = next((each for each in NAMES if model.net.name in each.nets and each.library != "Caffe"), None)
    if names is None:
        others = ", ".join(name for each in NAMES if each.library != "Caffe" for name in each.nets)
        raise BundleError(f"{bundle} holds {model.net.name}, which no other library has; they have: {others}.")
    if model.net.body != get_network(model.net.name).body:
        raise BundleError(f"{bundle} holds a table of one's own, which is only called {model.net.name}.")
    if out.suffix not in (".safetensors", ".pth"):
        raise BundleError(f"{out} must end in .safetensors or .pth.")
    if out.exists():
        raise BundleError(f"{out} exists already; name another file with --out.")
    renamed = tensor_names(model, names)
    theirs = {renamed[name]: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if out.suffix == ".safetensors":
        write_safetensors(out, theirs, {"format": "pt"})
    else:
        atomic_write(out, partial(_save_pth, theirs))
    return names.library


def read_labels(path: Path) -> list[str]:
    """Class names, a line each; a synset number in front ("n01440764 tench") is dropped. Raises BundleError."""
    with reading(path, BundleError):
        lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    names = [re.sub(r"^n\d{8}\s+", "", line) for line in lines]
    return _told_apart(
        names, ["" if name == line else line.split()[0] for name, line in zip(names, lines, strict=True)]
    )


def _told_apart(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    """Class names, those that come twice with their mark behind them, if they have one: ImageNet has two cranes."""
    often = Counter(names)
    return [f"{name} ({mark})" if often[name] > 1 and mark else name for name, mark in zip(names, marks, strict=True)]


def _save_pth(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        torch.save(tensors, path)
    except RuntimeError as error:  # a full disk, a folder that is not there
        raise OSError(str(error)) from None


def _recognized(tensors: Mapping[str, Tensor], file: Path) -> Names:
    """The library and network whose layers these are: the one that most of its layers are found of."""

    def found(names: Names) -> float:
        layers = [
            layer in tensors or layer + names.conv + ".weight" in tensors or layer + ".weight" in tensors
            for row, theirs in names.rows.items()
            if not row.startswith("aux.")
            for layer in theirs
        ]
        return sum(layers) / len(layers)

    best = max(NAMES, key=found)
    if found(best) < 0.5:
        known = ", ".join(f"{names.nets[0]} of {names.library}" for names in NAMES)
        raise BundleError(
            f"{file} holds no network that inceptorch knows: its first tensor is {next(iter(tensors))!r}. Known are {known}."
        )
    return best


def _guessed(names: Names, tensors: Mapping[str, Tensor], file: Path) -> Published:
    """The published weights that a file holds, by its name, by timm's config.json beside it, or because there is but
    one set of them. Raises BundleError where that leaves a doubt."""
    candidates = [each for each in published().values() if each.net in names.nets]
    outputs = len(_weight_of("head", 2, tensors, names, file))
    by_file = [each for each in candidates if each.file == file.name and _hash_in_name(each)]
    by_config = [each for each in candidates if each.name == _timm_name(file)]
    by_outputs = [each for each in candidates if each.outputs == outputs]
    for found in (by_file, by_config, candidates, by_outputs):
        if len(found) == 1:
            return found[0]
    raise BundleError(
        f"{file} could be any of several published weights, whose images are scaled differently: say which with --as: "
        f"{', '.join(each.name for each in candidates)}."
    )


def _hash_in_name(source: Published) -> bool:
    """Whether a file's name tells its content, as torchvision's do; model.safetensors could be anything."""
    return bool(re.search(r"-[0-9a-f]{8}\.pth$", source.file))


def _timm_name(file: Path) -> str | None:
    """Architecture and tag of timm's config.json beside a file, joined as timm joins them."""
    try:
        config = json.loads(file.with_name("config.json").read_text(encoding="utf-8"))
        return f"{config['architecture']}.{config['pretrained_cfg']['tag']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _renamed(
    tensors: Mapping[str, Tensor], names: Names, source: Published, file: Path, labelled: bool
) -> tuple[Model, dict[str, Tensor]]:
    """An uninitialized model of the right number of classes, and the tensors under our names."""
    outputs, channels = len(_weight_of("head", 2, tensors, names, file)), source.pixels.in_chans
    if not outputs:
        raise BundleError(f"{file} has a classifier of 0 classes.")
    if _weight_of(next(iter(names.rows)), 4, tensors, names, file).shape[1] != channels:
        raise BundleError(f"{file} is for images of other than {channels} channels, which {source.name} has.")
    aux_rows = [row for row in names.rows if row.startswith("aux.")]
    aux = bool(aux_rows) and all(f"{names.rows[row][-1]}.weight" in tensors for row in aux_rows)
    # TensorFlow's networks have a class more in front, the background; not all copies of them were freed of it.
    background = outputs == IMAGENET + 1 and ".tf_" in source.name and not labelled
    model = Model(
        get_network(source.net), outputs - background, channels, aux=aux, size=source.pixels.size, initialize=False
    )
    expected = model.state_dict()
    classifiers = {"head.linear", *(f"aux.{row}.linear" for row in model.aux)}
    left = dict(tensors)
    ours = {}
    for name, theirs in tensor_names(model, names).items():
        if theirs in left:
            tensor = left.pop(theirs)
            if background and name.rpartition(".")[0] in classifiers:
                tensor = tensor[1:]
            if [side for side in tensor.shape if side > 1] == [side for side in expected[name].shape if side > 1]:
                tensor = tensor.reshape(expected[name].shape)  # old files have sides of 1 in front
            ours[name] = tensor.float() if tensor.is_floating_point() else tensor
        elif name.endswith("num_batches_tracked"):  # older files count no batches
            ours[name] = torch.zeros_like(expected[name])
        else:
            raise BundleError(f"{file} has no {theirs!r}, which {names.nets[0]} of {names.library} has.")
    if left:
        raise BundleError(f"{file} also has {next(iter(left))!r}, which {names.nets[0]} of {names.library} has not.")
    return model, ours


def _weight_of(row: str, sides: int, tensors: Mapping[str, Tensor], names: Names, file: Path) -> Tensor:
    """The weight of a row's first layer, which must have so many sides."""
    layer = names.rows[row][0]
    for name in (f"{layer}{names.conv}.weight", f"{layer}.weight"):
        if name in tensors and tensors[name].ndim == sides:
            return tensors[name]
    raise BundleError(f"{file} has no '{layer}.weight' of {sides} sides, which {names.nets[0]} of {names.library} has.")


def _classes(count: int, source: Published, labels: Path | None, file: Path) -> list[str]:
    """Class names from `labels`, else from a synset_words.txt beside the file, else torchvision's for ImageNet, else, for
    published weights without names, numbers."""
    beside = file.with_name("synset_words.txt")
    if labels or (count == IMAGENET and beside.exists()):
        names_file = labels or beside
        classes = read_labels(names_file)
        if len(classes) != count:
            raise BundleError(f"{names_file} names {len(classes)} classes; the weights have {count}.")
        for name, times in Counter(classes).items():
            if times > 1:
                raise BundleError(f"{names_file} has the class {name!r} twice.")
        return classes
    if count == IMAGENET:
        from torchvision.models import GoogLeNet_Weights

        names = GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]
        return _told_apart(names, [str(index) for index in range(count)])
    if count == source.outputs:
        return [f"class {index}" for index in range(count)]
    raise BundleError(f"The weights have {count} classes; name a file of their names with --labels.")
