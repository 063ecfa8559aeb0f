"""Models and classifiers by name: networks, published weights, repositories on the hub, folders on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from inceptorch.classifier import published
from inceptorch.classifier.classifier import Classifier, copy_weights
from inceptorch.classifier.config import CARD, CONFIG, WEIGHTS
from inceptorch.classifier.statistics import STATISTICS
from inceptorch.errors import BundleError, RunError, TableError, did_you_mean
from inceptorch.networks.network import NetworkSpec, with_dropout
from inceptorch.networks.zoo import get_network

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.models.module import Features, Model

HUB = "hf-hub:"


def load(weights: str | Path, model: nn.Module | None = None) -> Classifier:
    """The classifier in a bundle or run folder, or of published weights by name, ready to predict on the CPU.

    `model` takes the weights of a custom module, and must be such a module. Raises BundleError.
    """
    return Classifier.read(resolve_weights(weights), model)


def resolve_weights(weights: str | Path) -> Path:
    """The folder of a bundle or run; of published weights by name, or of `hf-hub:OWNER/NAME[@REVISION]`, after a
    download unless it is cached. Raises BundleError."""
    path, name = Path(weights), str(weights)
    if name.startswith(HUB):
        return _fetch_from_hub(name)
    if os.path.exists(path) or path.name != name:  # Path.exists would raise for a name that is too long
        return path.absolute()
    if name not in published.published():
        raise BundleError(
            f"Cannot find a folder or published weights {name}: {did_you_mean(name, published.published())}"
        )
    from inceptorch.classifier.convert import import_weights

    file = published.fetch(name)
    made = file.parent / "bundle"
    if not made.exists():
        try:
            import_weights(file, made, source=name)
        except RunError:
            if not made.exists():  # unless another process was first
                raise
    return made


def _fetch_from_hub(name: str) -> Path:
    """The bundle in a repository, in the cache of huggingface_hub; all files are of one commit."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.removeprefix(HUB).partition("@")

    def file(name: str, revision: str) -> Path:
        return Path(hf_hub_download(repository, name, revision=revision, library_name="inceptorch"))

    try:
        folder = file(CONFIG, revision or "main").parent
        file(WEIGHTS, folder.name)  # which is the commit
        for optional in (CARD, STATISTICS):
            with suppress(EntryNotFoundError):
                file(optional, folder.name)
    except HFValidationError:
        why = "it is not the name of a repository. Write hf-hub:OWNER/NAME, or hf-hub:OWNER/NAME@REVISION"
    except RevisionNotFoundError:
        why = f"the repository has no revision {revision!r}. Try it without one"
    except RepositoryNotFoundError:
        why = "the hub has no such repository, or it is private. Try `hf auth login` for a private one"
    except LocalEntryNotFoundError:
        why = "the hub does not answer, and no copy is cached. Try again with a network"
    except EntryNotFoundError:
        why = f"the repository holds no bundle, which has {CONFIG} and {WEIGHTS}. Try another one"
    except Exception as error:  # of the server, the network or the disk, in kinds that change with the library
        why = f"{' '.join(str(error).split())}. Try again later"
    else:
        return folder
    raise BundleError(f"Cannot fetch {name}: {why}.")


@overload
def create_model(
    name: str | Path | NetworkSpec, num_classes: int | None = ..., in_chans: int = ...,
    weights: str | Path | None = ..., *, aux: bool = ..., size: int | None = ..., drop_rate: float | None = ...,
    features_only: Literal[False] = ..., out_indices: Sequence[int] | None = ...,
) -> Model: ...  # fmt: skip
@overload
def create_model(
    name: str | Path | NetworkSpec, num_classes: int | None = ..., in_chans: int = ...,
    weights: str | Path | None = ..., *, aux: bool = ..., size: int | None = ..., drop_rate: float | None = ...,
    features_only: Literal[True], out_indices: Sequence[int] | None = ...,
) -> Features: ...  # fmt: skip
def create_model(
    name: str | Path | NetworkSpec,
    num_classes: int | None = None,
    in_chans: int = 3,
    weights: str | Path | None = None,
    *,
    aux: bool = False,
    size: int | None = None,
    drop_rate: float | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> Model | Features:
    """A model of a network by name, of a table, or of the table in a YAML file.

    num_classes    by default those of the weights, else 1000; another number gives a new classifier
    in_chans       input channels; the first convolution of the weights is adapted
    weights        a bundle, a run, or published weights by name; by default new ones
    aux            with auxiliary heads, and their weights where the bundle has them
    size           input size in pixels, for networks and auxiliary heads with fully connected layers
    drop_rate      of the dropout before the classifier
    features_only  return feature maps instead of logits, of the stages `out_indices` or of all

    Raises TableError for an unknown name and BundleError if the weights belong to another network.
    """
    from inceptorch.models.module import Features, Model

    net = name if isinstance(name, NetworkSpec) else get_network(str(name))
    given = load(weights) if weights is not None else None
    if given and given.model.net.name != net.name:
        raise BundleError(
            f"Cannot use {weights}: it holds the network {given.model.net.name!r}, not {net.name!r}. Try that name."
        )
    if out_indices is not None and not features_only:
        raise TableError("Cannot use out_indices without feature maps. Add features_only=True.")
    if num_classes is None:
        num_classes = len(given.classes) if given else 1000
    if given and size is None:
        size = given.model.size
    table = net if drop_rate is None else with_dropout(net, drop_rate)
    model = Model(table, num_classes, in_chans, aux=aux, size=size)
    if given:
        copy_weights(given.model, model)
    return Features(model, out_indices) if features_only else model
