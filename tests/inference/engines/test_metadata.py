"""Files that are no export of ours."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inceptorch.errors import BundleError, EngineError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import exported_metadata, graph_of
from inceptorch.inference.engines.metadata import HASH_FIELD, check_hash, with_hash
from inceptorch.inference.engines.timing import random_images


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


def test_a_changed_byte_is_noticed_where_the_file_has_its_hash(tmp_path: Path) -> None:
    file, content = tmp_path / "a.onnx", with_hash(b"the graph")
    assert content[9:-65] == HASH_FIELD
    for whole in (content, b"the graph"):
        file.write_bytes(whole)
        check_hash(file)
    for at in (0, 8, len(content) - 2):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(BundleError, match="a.onnx: it is damaged, or not the file that was exported"):
            check_hash(file)


def with_metadata(bundle: Path, file: Path, **changes: Any) -> Path:
    import onnx

    model = onnx.load_from_string(graph_of(bundle))
    values = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(model, values | {key: json.dumps(value) for key, value in changes.items()})
    onnx.save(model, file)
    return file


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_labels_and_sizes_must_be_those_of_the_graph(engine: str, bundle: Path, tmp_path: Path) -> None:
    for count in (6, 9):
        labels = [f"class {number}" for number in range(count)]
        file = with_metadata(bundle, tmp_path / "a.onnx", num_classes=count, label_names=labels)
        with pytest.raises(
            BundleError, match=f"a.onnx contradicts itself: its probabilities are .* names {count} class"
        ):
            open_engine(file, engine)
    pixels = default_preprocessing(64).to_dict()
    file = with_metadata(bundle, tmp_path / "a.onnx", preprocessing=pixels)
    said = r"its pictures|its images are \[.*, 3, 16, 16\].* images of 64 pixels|input_size of pretrained_cfg is"
    with pytest.raises(BundleError, match=said):
        open_engine(file, engine)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_names_that_are_not_text_are_a_sentence(
    engine: str, bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = graph_of(bundle)
    for name, replacement in (
        (b"images", b"im\xffges"),
        (b"label_names", b"label_n\xffmes"),
        (b"class 0", b"class\xff0"),
    ):
        file = tmp_path / "a.onnx"
        file.write_bytes(graph.replace(name, replacement))
        with pytest.raises(BundleError, match=r"a.onnx"):
            open_engine(file, engine)
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_graph_that_fails_while_it_runs_is_a_sentence(engine: str, bundle: Path, tmp_path: Path) -> None:
    """It wants its 7 probabilities as a square of 5 x 5, which some engines notice when they open it."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(graph_of(bundle))
    (at,) = (number for number, node in enumerate(model.graph.node) if node.op_type == "Softmax")
    model.graph.node[at].output[0] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.array([5, 5]), "square/shape"))
    for number, node in enumerate(
        (
            helper.make_node("Reshape", ["before", "square/shape"], ["square"]),
            helper.make_node("ReduceMax", ["square"], ["largest"], keepdims=0),
            helper.make_node("Add", ["before", "largest"], ["probabilities"]),
        )
    ):
        model.graph.node.insert(at + 1 + number, node)
    file = tmp_path / "a.onnx"
    onnx.save(model, file)
    with pytest.raises((EngineError, BundleError), match=r"a.onnx"):
        open_engine(file, engine).run(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_detector_must_be_as_its_metadata_says(engine: str, bundle: Path, detector: Path, tmp_path: Path) -> None:
    """Of another size, without its head, and a classifier that calls itself a detector."""
    values = exported_metadata(with_metadata(detector, tmp_path / "whole.onnx"))
    for changes, match in (
        (
            {"detection": {**values["detection"], "width": 128}},
            r"its images are \[.*64, 96\].* images of 128x64 pixels",
        ),
        ({"detection": None}, "its metadata is of a classifier, its output boxes"),
    ):
        file = with_metadata(detector, tmp_path / "a.onnx", **changes)
        with pytest.raises(BundleError, match=f"a.onnx contradicts itself: {match}"):
            open_engine(file, engine)
    file = with_metadata(bundle, tmp_path / "a.onnx", detection=values["detection"])
    with pytest.raises(BundleError, match=r"contradicts itself: its metadata is of a detector, its output prob"):
        open_engine(file, engine)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_class_beyond_those_of_the_metadata(engine: str, detector: Path, tmp_path: Path) -> None:
    """The graph's outputs do not tell how many classes it knows."""
    images = random_images((96, 64), 2)
    whole = open_engine(detector, "torch").detect(images)
    assert max(each.labels.max() for each in whole) == 2
    file = with_metadata(detector, tmp_path / "a.onnx", num_classes=2, label_names=["a", "b"])
    with pytest.raises(BundleError, match=r"a.onnx contradicts itself: it found class 2, .* names 2 classes"):
        open_engine(file, engine).detect(images)


def test_a_file_without_one_of_its_outputs_is_foreign(detector: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(with_metadata(detector, tmp_path / "a.onnx"))
    del model.graph.output[1]
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(BundleError, match="it does not turn images into probabilities or boxes"):
        open_engine(tmp_path / "a.onnx", "onnxruntime")
