"""Bundles of other libraries' weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import Metadata
from inceptorch.classifier.convert.class_names import IMAGENET, class_names
from inceptorch.classifier.convert.layer_names import NAMES, LayerNames, tensor_names
from inceptorch.classifier.convert.read import read_tensors
from inceptorch.classifier.published import Published, get_weights, published
from inceptorch.errors import BundleError
from inceptorch.models.module import Model
from inceptorch.models.weights import fit
from inceptorch.networks.zoo import get_network
from inceptorch.utils.files import ensure_empty


def import_weights(file: Path, out: Path, *, source: str | None = None, labels: Path | None = None) -> Classifier:
    """Write the bundle of a file of weights, with the preprocessing they were trained with, to the folder `out`.

    file    .safetensors, .pth, .caffemodel or .npz
    source  name of the published weights in it, or of those whose preprocessing it shares; by default guessed
    labels  a file of class names, one per line

    Raises BundleError or RunError; the folder is written whole or not at all.
    """
    ensure_empty(out)
    classifier = read_weights(file, source=source, labels=labels)
    classifier.save(out)
    return classifier


def read_weights(file: Path, *, source: str | None = None, labels: Path | None = None) -> Classifier:
    """The classifier in a file of weights, as `import_weights` writes it. Raises BundleError."""
    tensors = read_tensors(file)
    for name, tensor in tensors.items():
        if tensor.is_complex() or not tensor.isfinite().all():
            raise BundleError(
                f"Cannot use {file}: it holds numbers in {name!r} that are not real and finite. Try another copy of it."
            )
    weights = _Weights(file, tensors, _recognize(tensors, file))
    entry, assumed = (get_weights(source), False) if source else weights.guess_source()
    if entry.net not in weights.names.nets:
        raise BundleError(
            f"Cannot convert {file}: it holds a network like {weights.names.nets[0]}, not {entry.net} as in "
            f"{entry.name}. Try another --source."
        )
    model, renamed = weights.rename(entry, labeled=labels is not None)
    fit(model, renamed, file)
    classes = class_names(model.num_classes, entry.outputs, labels, file)
    metadata = _metadata(entry, assumed, weights.outputs)
    return Classifier.of(model, entry.preprocessing, classes, metadata, aux_heads=True)


def _metadata(entry: Published, assumed: bool, outputs: int) -> Metadata:
    """Those of the published weights, unless there are other classes; with a note where preprocessing is a guess."""
    metadata = entry.metadata() if outputs in (entry.outputs, IMAGENET + 1) else Metadata()
    if not assumed:
        return metadata
    guess = (
        f"The file does not tell how its images were scaled: taken as for {entry.name}. If that is wrong, convert it "
        "again with --source."
    )
    return replace(metadata, note=" ".join(filter(None, (guess, metadata.note))))


def _recognize(tensors: Mapping[str, Tensor], file: Path) -> LayerNames:
    """The library and network most of whose layers are there. Raises BundleError."""

    def fraction(names: LayerNames) -> float:
        there = [
            name in tensors or name + names.conv + ".weight" in tensors or name + ".weight" in tensors
            for layer, theirs in names.layers.items()
            if not layer.startswith("aux.")
            for name in theirs
        ]
        return sum(there) / len(there)

    best = max(NAMES.values(), key=fraction)
    if fraction(best) < 0.5:
        known = ", ".join(f"{names.nets[0]} of {names.library}" for names in NAMES.values())
        first = next(iter(tensors))
        raise BundleError(
            f"Cannot convert {file}: it holds no network that inceptorch knows; its first tensor is {first!r}. Known "
            f"are {known}."
        )
    return best


@dataclass(frozen=True)
class _Weights:
    """The tensors of a file, with the names of the library and network that they are of."""

    file: Path
    tensors: Mapping[str, Tensor]
    names: LayerNames

    @property
    def outputs(self) -> int:
        return len(self.weight("head", 2))

    def weight(self, layer: str, dimensions: int) -> Tensor:
        """The weight of our layer's first convolution or linear layer. Raises BundleError."""
        first = self.names.layers[layer][0]
        for name in (f"{first}{self.names.conv}.weight", f"{first}.weight"):
            if name in self.tensors and self.tensors[name].ndim == dimensions:
                return self.tensors[name]
        raise BundleError(
            f"Cannot convert {self.file}: it has no '{first}.weight' of {dimensions} dimensions, which "
            f"{self.names.nets[0]} of {self.names.library} has."
        )

    def guess_source(self) -> tuple[Published, bool]:
        """The published weights, by the file's name, by timm's config.json beside it, or because there is only one set;
        and whether the last is why, so that it is a guess. Raises BundleError where there are several."""
        candidates = [each for each in published().values() if each.net in self.names.nets]
        outputs, timm_name = self.outputs, _timm_name(self.file)
        # Only a name with a hash in it, as torchvision's, tells the content; model.safetensors could be anything.
        hashed = re.search(r"-[0-9a-f]{8}\.pth$", self.file.name)
        by_file = [each for each in candidates if hashed and each.file == self.file.name]
        by_config = [each for each in candidates if each.name == timm_name]
        by_outputs = [each for each in candidates if each.outputs == outputs]
        for found in (by_file, by_config, candidates, by_outputs):
            if len(found) == 1:
                return found[0], found not in (by_file, by_config)
        raise BundleError(
            f"Cannot convert {self.file}: it could be any of several published weights, whose images are scaled "
            f"differently. Try --source with one of {', '.join(each.name for each in candidates)}."
        )

    def rename(self, entry: Published, labeled: bool) -> tuple[Model, dict[str, Tensor]]:
        """An uninitialized model of the right number of classes, and the tensors under our names. Raises
        BundleError."""
        names, outputs, channels = self.names, self.outputs, entry.preprocessing.in_chans
        library = f"{names.nets[0]} of {names.library}"
        if not outputs:
            raise BundleError(
                f"Cannot convert {self.file}: it has a classifier of 0 classes. Try weights of a whole network."
            )
        if self.weight(next(iter(names.layers)), 4).shape[1] != channels:
            raise BundleError(
                f"Cannot convert {self.file}: it is for images of other than {channels} channels, which {entry.name} "
                "has. Try another --source."
            )
        aux_layers = [layer for layer in names.layers if layer.startswith("aux.")]
        aux = bool(aux_layers) and all(f"{names.layers[layer][-1]}.weight" in self.tensors for layer in aux_layers)
        # TensorFlow's networks have a first class more, the background; some copies of them still do.
        background = outputs == IMAGENET + 1 and ".tf_" in entry.name and not labeled
        size, classes = entry.preprocessing.size, outputs - background
        model = Model(get_network(entry.net), classes, channels, aux=aux, size=size, initialize=False)
        expected = model.state_dict()
        heads = {"head.linear", *(f"aux.{layer}.linear" for layer in model.aux)}
        left = dict(self.tensors)
        ours = {}
        for name, theirs in tensor_names(model, names).items():
            if theirs in left:
                tensor = left.pop(theirs)
                if background and name.rpartition(".")[0] in heads:
                    tensor = tensor[1:]
                if [n for n in tensor.shape if n > 1] == [n for n in expected[name].shape if n > 1]:
                    tensor = tensor.reshape(expected[name].shape)  # old files have dimensions of 1 in front
                ours[name] = tensor.float() if tensor.is_floating_point() else tensor
            elif name.endswith("num_batches_tracked"):  # older files count no batches
                ours[name] = torch.zeros_like(expected[name])
            else:
                raise BundleError(f"Cannot convert {self.file}: it has no {theirs!r}, which {library} has.")
        if left:
            raise BundleError(
                f"Cannot convert {self.file}: it has {next(iter(left))!r}, which {library} does not have."
            )
        return model, ours


def _timm_name(file: Path) -> str | None:
    """Architecture and tag of timm's config.json beside a file, joined as timm joins them."""
    try:
        config = json.loads(file.with_name("config.json").read_text(encoding="utf-8"))
        return f"{config['architecture']}.{config['pretrained_cfg']['tag']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
