"""The smaller network: its table, and its weights, with which the channels that stay stand in for those that go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.classifier import Classifier
from inceptorch.classifier.config import Metadata
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.shrink.channels import ChannelGraph, Site, Unit, with_widths
from inceptorch.shrink.select import Keep, ridge
from inceptorch.shrink.statistics import Doubles, Moments

ROWS = ("conv.bias", "linear.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bias")


def cut(classifier: Classifier, graph: ChannelGraph, keep: Keep, moments: Mapping[str, Moments] | None) -> Classifier:
    """The classifier with these channels of its layers alone.

    With `moments`, the readers of a channel that goes are solved anew by least squares: what the channels that stay
    say of it, at the same place, is added to their weights, and a constant to the bias where no zeros pad the map.
    Channels that are proportional to others go without a trace. Without `moments`, channels are deleted.
    """
    old = classifier.model
    tensors = {name: tensor.detach().cpu() for name, tensor in old.state_dict().items() if not name.startswith("aux.")}
    for site in graph.sites:
        stays = _stays(site, keep)
        if stays.all():
            continue
        found = moments[site.at] if moments is not None else None
        stand_in = _stand_in(found, site, stays) if found else (np.zeros(((~stays).sum(), stays.sum())), None)
        for unit in graph.readers(site):
            _read_less(tensors, unit, stays, *stand_in)
    for at, kept in keep.items():
        unit = graph.units[at]
        rows = torch.from_numpy(kept)
        for name in (unit.weight, *(f"{at}.{each}" for each in ROWS)):
            if name in tensors:
                tensors[name] = tensors[name][rows].contiguous()
    net = _named(with_widths(old.net, {at: len(kept) for at, kept in keep.items()}), graph, keep)
    model = Model(net, old.num_classes, old.in_chans, size=old.size, initialize=False)
    model.load_state_dict(tensors)
    metadata = Metadata(license=classifier.config.metadata.license, weights=classifier.config.metadata.weights)
    model = model.to(memory_format=torch.channels_last).eval()
    return Classifier.of(model, classifier.preprocessing, classifier.classes, metadata)


def _stays(site: Site, keep: Keep) -> NDArray[np.bool_]:
    """Which channels of a site stay, [C]."""
    stays = np.ones(site.width, bool)
    for source, places in site.segments():
        if source in keep:
            stays[places] = False
            stays[places.start + keep[source]] = True
    return stays


def _stand_in(moments: Moments, site: Site, stays: NDArray[np.bool_]) -> tuple[Doubles, Doubles | None]:
    """What the channels that stay say of those that go: factors [gone, kept], and constants [gone] or None."""
    gram = moments.gram(site.intercept)
    kept = gram[np.ix_(stays, stays)]
    factors = np.linalg.solve(kept + ridge(kept), gram[np.ix_(stays, ~stays)]).T.astype(np.float64)
    if not site.intercept:
        return factors, None
    mean = moments.sums / moments.count
    return factors, np.asarray(mean[~stays] - factors @ mean[stays], np.float64)


def _read_less(
    tensors: dict[str, torch.Tensor], unit: Unit, stays: NDArray[np.bool_], factors: Doubles, constants: Doubles | None
) -> None:
    """Take the input channels that go out of a unit's weights, put what stands in for them into the others."""
    weight = tensors[unit.weight]
    wide = weight.double().numpy().reshape(unit.out, len(stays), -1)
    left = wide[:, stays] + np.einsum("ogt,gk->okt", wide[:, ~stays], factors, optimize=True)
    shape = (unit.out, -1) if weight.ndim == 2 else (unit.out, left.shape[1], *weight.shape[2:])
    tensors[unit.weight] = torch.from_numpy(left.reshape(shape)).to(weight.dtype)
    if constants is None:
        return
    shift = torch.from_numpy(wide[:, ~stays].sum(2) @ constants)
    module = unit.weight.removesuffix("weight")
    bias, mean = f"{module}bias", f"{unit.at}.bn.running_mean"
    if bias in tensors:
        tensors[bias] = (tensors[bias].double() + shift).to(weight.dtype)
    else:  # what comes out of the convolution is normalized, with a mean that moves along
        tensors[mean] = (tensors[mean].double() - shift).to(weight.dtype)


def _named(net: NetworkSpec, graph: ChannelGraph, keep: Keep) -> NetworkSpec:
    """The table with a name of its own, which says what of the multiply-adds stays."""
    fraction = graph.macs({at: len(kept) for at, kept in keep.items()}) / graph.macs({})
    percent = f"{100 * fraction:.0f}"
    return replace(
        net,
        name=f"{net.name}_shrunk{percent}",
        title=f"{net.title}, shrunk to {percent}% of its multiply-adds",
        source=f"{net.source}; widths chosen by inceptorch shrink",
    )
