"""Functions that several of these tests use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def altered(graph: bytes, change: Callable[[Any], None]) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    change(model.graph)
    written: bytes = model.SerializeToString()
    return written


def scaled(graph: Any, node: str, factor: float) -> None:
    """Multiply a node's output."""
    from onnx import helper, numpy_helper

    (at,) = (number for number, each in enumerate(graph.node) if each.name == node)
    output = graph.node[at].output[0]
    graph.node[at].output[0] = "unscaled"
    graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), "factor"))
    graph.node.insert(at + 1, helper.make_node("Mul", ["unscaled", "factor"], [output], name="scaled"))
