"""Files that are no export of ours."""

from pathlib import Path

import pytest

from inceptorch.errors import BundleError
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import graph_of


def test_damaged_and_foreign_files(bundle: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(graph_of(bundle)[:5000])
    foreign = tmp_path / "foreign.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    made = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    ])  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, foreign)
    disguised = tmp_path / "disguised.onnx"
    ours = onnx.load_from_string(graph_of(bundle))
    helper.set_model_props(model, {each.key: each.value for each in ours.metadata_props})
    onnx.save(model, disguised)
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(BundleError, match=r"damaged\.onnx"):
            open_engine(damaged, engine)
        with pytest.raises(BundleError, match="was not written by `inceptorch export`"):
            open_engine(foreign, engine)
        with pytest.raises(BundleError, match="it does not turn images into probabilities"):
            open_engine(disguised, engine)
    with pytest.raises(BundleError, match="does not exist"):
        open_engine(tmp_path / "nothing.onnx")
