"""Branches in parallel, concatenated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from inceptorch.errors import TableError
from inceptorch.networks.drawing import Part, side_by_side
from inceptorch.networks.layers.base import BaseLayer, Layer, Shape, as_layer
from inceptorch.networks.layers.batch_norm import BatchNorm

if TYPE_CHECKING:
    from torch import nn

    from inceptorch.networks.onnx_writer import OnnxWriter


@dataclass(frozen=True, init=False)
class Fork(BaseLayer, key="fork"):
    """Branches in parallel on the same input; their channels are concatenated in the order given."""

    branches: tuple[Layer, ...]

    def __init__(self, *branches: Layer):
        if not branches:
            raise TableError("A fork has no branches.")
        object.__setattr__(self, "branches", branches)

    @property
    def parts(self) -> tuple[Layer, ...]:
        return self.branches

    def with_parts(self, parts: tuple[Layer, ...]) -> Layer:
        return Fork(*parts)

    @property
    def reduction(self) -> int:
        return max(as_layer(branch).reduction for branch in self.branches)

    @property
    def depth(self) -> int:
        return max(as_layer(branch).depth for branch in self.branches)

    def output_shape(self, shape: Shape) -> Shape:
        outputs = [as_layer(branch).output_shape(shape) for branch in self.branches]
        if len({output[1:] for output in outputs}) > 1:
            raise TableError(f"branches give maps of different sizes {[output[1:] for output in outputs]}")
        return sum(output[0] for output in outputs), *outputs[0][1:]

    def count(self, shape: Shape, norm: BatchNorm | None) -> tuple[int, int]:
        counts = [as_layer(branch).count(shape, norm) for branch in self.branches]
        return sum(params for params, _ in counts), sum(macs for _, macs in counts)

    def module(self, shape: Shape, norm: BatchNorm | None) -> nn.Module:
        from inceptorch.models.blocks import Concat

        return Concat(as_layer(branch).module(shape, norm) for branch in self.branches)

    def onnx(self, graph: OnnxWriter, x: str, shape: Shape, name: str, at: str) -> str:
        ends = [
            as_layer(branch).onnx(graph, x, shape, f"{name}/{number}", f"{at}.{number}")
            for number, branch in enumerate(self.branches)
        ]
        return graph.node("Concat", ends, f"{name}/concat", axis=1)

    def draw(self, shape: Shape, norm: BatchNorm | None) -> Part:
        branches = [as_layer(branch).draw(shape, norm) for branch in self.branches]
        return side_by_side(branches, f"concat, {self.output_shape(shape)[0]} channels")

    def to_plain(self) -> Any:
        return {self.key: [as_layer(branch).to_plain() for branch in self.branches]}

    @classmethod
    def from_plain(cls, values: dict[str, Any], read: Callable[[Any], Layer]) -> Self:
        branches = values.get("branches")
        if not isinstance(branches, list) or len(values) > 1:
            raise TableError("A fork is written as a list of branches and nothing else.")
        return cls(*map(read, branches))
