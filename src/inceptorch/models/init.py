"""Initial weights."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

PIECE = 1 << 22  # numbers drawn from one generator


def init_weights(module: nn.Module, classifiers: Sequence[nn.Module]) -> None:
    """He initialization, which keeps the scale of activations through ReLU at any depth (arXiv:1502.01852); small
    weights for `classifiers`, so that training begins from nearly equal class scores. Biases are 0.

    Torch draws normal numbers on one core. Here every piece of every tensor has a generator of its own, seeded from
    torch's, so that all cores draw and the numbers are the same whatever their number.
    """
    pieces = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            fan_in = math.prod(layer.weight.shape[1:])
            std = 0.01 if layer in classifiers else math.sqrt(2 / fan_in)
            pieces += [(piece, std) for piece in torch.split(layer.weight.detach().view(-1), PIECE)]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    seeds = torch.randint(2**62, (len(pieces),), device="cpu").tolist()
    inference = torch.is_inference_mode_enabled()  # which every thread has for itself

    def draw(piece: Tensor, std: float, seed: int) -> None:
        with torch.inference_mode(inference):
            piece.normal_(0, std, generator=torch.Generator(piece.device).manual_seed(seed))

    if pieces:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(draw, *zip(*pieces, strict=True), seeds))


@torch.no_grad()
def whiten(conv: nn.Conv2d, images: Tensor, eps: float = 5e-4) -> None:
    """Set filters [2 * C * k * k, C, k, k] to the principal components of the patches of normalized images
    [N, C, H, W], each over its deviation, and to their negatives; `eps` is added to variances.

    Source: airbench (arXiv:2404.00498 section 3.2), after Page's "How to Train Your ResNet".
    """
    channels, side = images.shape[1], conv.kernel_size[0]
    patches = images.unfold(2, side, 1).unfold(3, side, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * side**2)
    patches = patches.double()
    variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (components.T / (variances + eps).sqrt()[:, None]).flip(0).view(-1, channels, side, side)
    conv.weight.copy_(torch.cat([filters, -filters]))


@torch.no_grad()
def init_dirac(module: nn.Module) -> None:
    """Let every convolution begin by handing on its input: its first filters, as many as it has channels in, take one
    channel each (arXiv:2404.00498 section 3.3)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.weight.requires_grad:
            nn.init.dirac_(layer.weight[: layer.in_channels])
