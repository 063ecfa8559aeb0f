"""Convolutions: parameters, multiply-adds, the pool within one, and what does not fit."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from inceptorch.errors import TableError
from inceptorch.networks.layers import BatchNorm, Conv, Field, Pool, SeparableConv, Span, TooSmallError
from inceptorch.networks.onnx_writer import OnnxWriter


@pytest.mark.parametrize(
    ("norm", "beside"), [(None, 8), (BatchNorm(), 16), (BatchNorm(conv_bias=True), 24)], ids=["bias", "norm", "both"]
)
def test_parameters_and_multiply_adds(norm: BatchNorm | None, beside: int) -> None:
    weights = 8 * 3 * 5 * (4 // 2)
    assert Conv(8, (3, 5), groups=2).count((4, 6, 7), norm) == (weights + beside, weights * 6 * 7)
    weights = 4 * 2 * (9 + 8)
    assert SeparableConv(8, 3, multiplier=2).count((4, 6, 7), norm) == (weights + beside, weights * 6 * 7)


def test_groups_must_divide_both_sides() -> None:
    with pytest.raises(TableError, match="8 channels cannot be divided into 3 groups"):
        Conv(8, groups=3)
    with pytest.raises(TableError, match="3 channels cannot be divided into 2 groups"):
        Conv(8, groups=2).output_shape((3, 4, 4))


def test_a_pool_within_counts_as_one_behind() -> None:
    layer, shape = Conv(8, 3, pool=2), (4, 7, 9)
    behind = (Conv(8, 3), Pool("max", 2, 2, "valid"))
    assert layer.output_shape(shape) == (8, 3, 4)
    assert layer.count(shape, BatchNorm()) == behind[0].count(shape, BatchNorm())
    assert layer.reduction == 2
    field = Field(Span(0, 1, 1), Span(0, 1, 1))
    assert layer.field(field, shape) == behind[1].field(behind[0].field(field, shape), (8, 7, 9))
    with pytest.raises(TooSmallError, match="2x2 window does not fit into a 1x9 map"):
        layer.output_shape((4, 1, 9))
    with pytest.raises(TableError, match="A pool of 0"):
        Conv(8, pool=0)


@pytest.mark.parametrize("negative", [False, True], ids=["factors above 0", "a factor below 0"])
def test_the_maximum_is_taken_before_the_normalization(negative: bool) -> None:
    """In torch by definition; ONNX has the normalization in the filters, as far as maximum and factor change places."""
    torch.manual_seed(0)
    module = Conv(6, 3, pool=2).module((3, 8, 8), BatchNorm()).eval()
    conv, norm = module.get_submodule("conv"), module.get_submodule("bn")
    assert isinstance(norm, torch.nn.BatchNorm2d)
    with torch.no_grad():
        conv.get_parameter("weight").normal_()
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).uniform_(0.5, 1.5)
        if negative:
            norm.weight[2] = -1.2
    x = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        by_hand = norm(torch.nn.functional.max_pool2d(conv(x), 2)).relu()
        assert torch.equal(module(x), by_hand)
    writer = OnnxWriter({f"at.{name}": tensor.numpy() for name, tensor in module.state_dict().items()}, norm.eps)
    out = Conv(6, 3, pool=2).onnx(writer, "x", (3, 8, 8), "conv", "at")
    assert ("Mul" in {node.op_type for node in writer.nodes}) == negative
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", out)]
    graph = helper.make_graph(writer.nodes, "graph", ends[:1], ends[1:], writer.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, by_hand.numpy(), atol=1e-5)
