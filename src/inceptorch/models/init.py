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
