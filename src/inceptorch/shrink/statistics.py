"""What the channels of a network have in common on some images: sums over one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from inceptorch.classifier import Classifier
from inceptorch.data import Split
from inceptorch.shrink.channels import ChannelGraph, Site
from inceptorch.utils.progress import Progress

PLACES = 16  # of each map of an image; neighbors say nearly the same
BATCH_SIZE = 32

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of a site: the number of places, the sum of its channels [C] and of their products [C, C]."""

    count: int
    sums: Doubles
    products: Doubles

    def gram(self, centered: bool) -> Doubles:
        """Mean products [C, C], of deviations from the mean with `centered`."""
        gram: Doubles = self.products / self.count
        if centered:
            mean = self.sums / self.count
            gram = gram - np.outer(mean, mean)
        return gram


def draw_images(split: Split, count: int, seed: int) -> list[int]:
    """At most `count` images of a split, drawn by the seed."""
    return sorted(np.random.default_rng(seed).permutation(len(split))[:count].tolist())


def batches(
    classifier: Classifier, split: Split, indices: Sequence[int], progress: Progress, what: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalized images [N, C, S, S] as they are evaluated, and their labels [N]."""
    starts = range(0, len(indices), BATCH_SIZE)
    parts = (indices[start : start + BATCH_SIZE] for start in starts)
    for part in progress.track(parts, len(indices), what, size=len):
        crops = [split.crop(index, classifier.preprocessing) for index in part]
        yield classifier.prepare(crops), torch.from_numpy(np.asarray(split.labels[part], np.int64))


def measure_moments(
    classifier: Classifier, graph: ChannelGraph, split: Split, indices: Sequence[int], seed: int, progress: Progress
) -> dict[str, Moments]:
    """The moments of every site with channels that may go, by its path."""
    model, found = classifier.model.eval(), dict[str, list[Any]]()
    draw = torch.Generator().manual_seed(seed)

    def watch(site: Site) -> Callable[[nn.Module, Any], None]:
        def look(module: nn.Module, inputs: Any) -> None:
            x = inputs[0].detach()
            x = x.reshape(len(x), site.width, -1)  # a linear layer's input is flat
            if x.shape[2] > PLACES:
                places = torch.stack([torch.randperm(x.shape[2], generator=draw)[:PLACES] for _ in range(len(x))])
                x = x.gather(2, places.to(x.device)[:, None].expand(-1, site.width, -1))
            rows = x.transpose(1, 2).reshape(-1, site.width).double()
            sums = found.setdefault(site.at, [0, 0.0, 0.0])
            sums[0], sums[1], sums[2] = sums[0] + len(rows), sums[1] + rows.sum(0), sums[2] + rows.T @ rows

        return look

    with ExitStack() as stack, torch.inference_mode():
        for site in graph.sites:
            if any(source in graph.prunable for source, _ in site.sources):
                hook = model.get_submodule(site.at).register_forward_pre_hook(watch(site))
                stack.callback(hook.remove)
        for images, _ in batches(classifier, split, indices, progress, "calibrating, images"):
            model(images)
    return {at: Moments(count, sums.cpu().numpy(), both.cpu().numpy()) for at, (count, sums, both) in found.items()}


def taylor_importance(
    classifier: Classifier, graph: ChannelGraph, split: Split, indices: Sequence[int], progress: Progress
) -> dict[str, Doubles]:
    """How much the loss would change without each channel, to first order: the mean over images of the absolute sum of
    activation times gradient (arXiv:1611.06440), by layer."""
    model, outputs = classifier.model.eval(), dict[str, Tensor]()
    totals = {at: np.zeros(graph.units[at].out) for at in graph.prunable}

    def keep(at: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[at] = output

        return hook

    with ExitStack() as stack:
        for at in graph.prunable:
            stack.callback(model.get_submodule(at).register_forward_hook(keep(at)).remove)
        for images, labels in batches(classifier, split, indices, progress, "gradients, images"):
            loss = F.cross_entropy(model(images), labels.to(images.device), reduction="sum")
            gradients = torch.autograd.grad(loss, [outputs[at] for at in graph.prunable])
            for at, gradient in zip(graph.prunable, gradients, strict=True):
                change = (outputs[at] * gradient).reshape(len(images), totals[at].size, -1).sum(2)
                totals[at] += change.detach().abs().sum(0).double().cpu().numpy()
    return {at: total / len(indices) for at, total in totals.items()}


def renew_norm_statistics(classifier: Classifier, split: Split, indices: Sequence[int], progress: Progress) -> None:
    """Means and variances of batch normalization anew, as averages over batches of these images. A smaller last batch
    is left out: it would count as much as the others, and one image on a map of one place has no variance."""
    norms = [module for module in classifier.model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    full = len(indices) // BATCH_SIZE * BATCH_SIZE
    momenta = [norm.momentum for norm in norms]
    classifier.model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    with torch.no_grad():
        for images, _ in batches(classifier, split, indices[: full or None], progress, "batch normalization"):
            classifier.model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    classifier.model.eval()
