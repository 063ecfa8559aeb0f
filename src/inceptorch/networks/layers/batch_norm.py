"""Batch normalization: a property of the network, not a layer of its table."""

from dataclasses import dataclass

from inceptorch.errors import TableError


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization between every convolution and its ReLU.

    conv_bias   the convolution keeps its bias, which does nothing that `beta` could not (Caffe's BN-Inception)
    """

    eps: float = 1e-3
    momentum: float = 0.1
    conv_bias: bool = False

    def __post_init__(self) -> None:
        if not (self.eps > 0 and 0 <= self.momentum <= 1):
            raise TableError(
                f"Batch normalization needs eps above 0 and momentum from 0 to 1, not {self.eps} and {self.momentum}."
            )
