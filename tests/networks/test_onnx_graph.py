"""A classifier's ONNX graph: its names, and which heads give activation maps."""

import json

import pytest

from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_graph import (
    FEATURES,
    INPUT,
    MAP_CLASSES,
    MAPS,
    PROBABILITIES,
    features_graph,
    graph,
    pooled_layer,
)
from inceptorch.networks.zoo import NETS


@pytest.mark.parametrize(("name", "layer"), [("googlenet", "avgpool"), ("nin", "avgpool"), ("googlenet_fc", None)])
def test_the_layer_whose_average_the_classifier_receives(name: str, layer: str | None) -> None:
    assert pooled_layer(NETS[name], (3, 224, 224)) == layer


def test_nodes_are_called_by_the_tables_layers(tiny: NetworkSpec) -> None:
    tensors = {name: tensor.numpy() for name, tensor in Model(tiny, 3).state_dict().items()}
    model = graph(tiny, default_preprocessing(16), 3, tensors, {"label_names": ["a", "b", "c"]})
    assert [each.name for each in model.graph.input] == [INPUT]
    outputs = [each.name for each in model.graph.output]
    assert outputs == [PROBABILITIES, MAPS, MAP_CLASSES][: len(outputs)]
    names = {node.name.partition("/")[0] for node in model.graph.node}
    assert {"mix", "linear"} <= names <= {"scale", "softmax", "maps", "linear", *tiny.body, *tiny.head}
    (config,) = model.metadata_props
    assert (config.key, json.loads(config.value)) == ("label_names", ["a", "b", "c"])


def test_features_end_before_the_classifier(tiny: NetworkSpec) -> None:
    model = Model(tiny, 3)
    made = features_graph(tiny, default_preprocessing(16), {name: x.numpy() for name, x in model.state_dict().items()})
    (given,), (found,) = made.graph.input, made.graph.output
    assert (given.name, found.name) == (INPUT, FEATURES)
    assert [side.dim_value for side in given.type.tensor_type.shape.dim][1:] == [3, 16, 16]
    assert [side.dim_value for side in found.type.tensor_type.shape.dim][1:] == [model.num_features]
    assert not any(node.name.startswith(("linear", "softmax")) for node in made.graph.node)
