"""A detector's ONNX graph: its names, inputs and outputs, and a shared tower's weights."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.detector import Detector
from inceptorch.networks.detection import DetectionHead
from inceptorch.networks.layers import Conv, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_detector import detector_graph

# Maps of 32, 12 and 6 rows: one step of the pyramid is no whole number.
UNEVEN = NetworkSpec(
    "uneven",
    title="maps that do not double",
    source="these tests",
    size=64,
    body={
        "a": Conv(8, 3, 2),
        "b": (Pool("max", 3, 2, "valid"), Conv(8, 4, 1, "valid")),
        "c": Pool("max", 2, 2, "valid"),
    },
    head={},
)
HEAD = DetectionHead(("a", "b", "c"), 96, 64, 32, 2)


def test_names_inputs_and_outputs() -> None:
    import onnx

    detector = Detector(UNEVEN, HEAD, 3)
    tensors = {name: tensor.numpy() for name, tensor in detector.state_dict().items()}
    model = detector_graph(UNEVEN, HEAD, default_preprocessing(64), 3, tensors, {"label_names": ["a", "b", "c"]})
    onnx.checker.check_model(model, full_check=True)
    (given,) = model.graph.input
    assert [each.dim_value for each in given.type.tensor_type.shape.dim] == [0, 3, 64, 96]
    assert [each.name for each in model.graph.output] == ["boxes", "scores", "labels", "image"]
    assert {node.name.partition("/")[0] for node in model.graph.node} == {
        "scale", "a", "b", "c", "lateral", "pyramid", "class_tower", "box_tower", "classes", "edges", "centerness",
        "decode", "nms",
    }  # fmt: skip
    names = Counter(each.name for each in model.graph.initializer)
    assert names["class_tower.1.conv.weight"] == 1  # for all levels
    assert not [name for name, count in names.items() if count > 1]
    (config,) = model.metadata_props
    assert (config.key, json.loads(config.value)) == ("label_names", ["a", "b", "c"])


def test_a_coarser_map_is_enlarged_as_torch_does() -> None:
    """By the dense outputs before suppression, which differ where one row of the pyramid is off."""
    import onnxruntime
    from onnx import TensorProto, helper

    torch.manual_seed(1)
    detector = Detector(UNEVEN, HEAD, 3).eval()
    rows = [shape[1] for shape in detector.shapes]
    assert rows[0] % rows[1]
    pixels = default_preprocessing(64)
    tensors = {name: tensor.numpy() for name, tensor in detector.state_dict().items()}
    model = detector_graph(UNEVEN, HEAD, pixels, 3, tensors, {})
    for name in ("decode/boxes", "decode/scores"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 96), np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["decode/boxes", "decode/scores"], {"images": images})
    mean, std = (np.array(each, np.float32).reshape(1, 3, 1, 1) for each in (pixels.mean, pixels.std))
    with torch.no_grad():
        expected, probabilities = detector.decode(detector(torch.from_numpy((images - mean) / std)))
    np.testing.assert_allclose(boxes, expected.numpy(), atol=1e-3)
    np.testing.assert_allclose(scores.transpose(0, 2, 1), probabilities.numpy(), atol=1e-5)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_head_of_any_depth_is_written(depth: int) -> None:
    head = DetectionHead(("b",), 96, 64, 32, depth)
    tensors = {name: tensor.numpy() for name, tensor in Detector(UNEVEN, head, 1).state_dict().items()}
    model = detector_graph(UNEVEN, head, default_preprocessing(64), 1, tensors, {})
    assert sum(node.op_type == "InstanceNormalization" for node in model.graph.node) == 2 * depth
    assert not any(node.name.startswith("c/") for node in model.graph.node)  # behind the last level
