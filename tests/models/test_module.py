"""The module against its table, and against what PyTorch users expect."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inceptorch
from inceptorch.errors import TableError
from inceptorch.models.module import Model
from inceptorch.networks.complexity import aux_layer_costs, count_complexity, layer_costs, min_size
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", NETS)
def test_every_row_has_the_shape_and_the_parameters_its_table_says(name: str) -> None:
    model = Model(NETS[name]).eval()
    size = NETS[name].size
    rows = count_complexity(name).layers
    with torch.inference_mode():
        x = torch.zeros(1, 3, size, size)
        for row in rows:
            layer = (model.body if row.name in NETS[name].body else model.head).get_submodule(row.name)
            x = layer(x.flatten(1) if row.name == "linear" else x)
            assert x.reshape(1, *row.output).shape[1:] == row.output
            assert parameters(layer) == row.params
    assert x.shape == (1, 1000)
    assert parameters(model) == count_complexity(name).params


def test_parameters_with_both_auxiliary_heads() -> None:
    model = Model(NETS["googlenet"], aux=True)
    assert parameters(model) == 13_378_280
    rows = aux_layer_costs(model.net, "4a", (512, 14, 14), 1000)
    assert [row.output for row in rows] == [(512, 4, 4), (128, 4, 4), (1024, 1, 1), (1024, 1, 1), (1000, 1, 1)]
    assert sum(row.params for row in rows) == parameters(model.aux["4a"]) == 3_188_840


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_training_gives_finite_logits_and_gradients_everywhere(name: str) -> None:
    torch.manual_seed(0)
    model = Model(NETS[name], num_classes=10, aux=True).train()
    images = torch.randn(2, 3, 224, 224) * 60
    features, aux_logits = model.forward_intermediates(images, ["aux.4a", "aux.4d"])
    logits = model.forward_head(features)
    labels = torch.tensor([1, 2])
    loss = F.cross_entropy(logits, labels) + 0.3 * sum(F.cross_entropy(tap, labels) for tap in aux_logits)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.shape == (2, 10)
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def test_forward_returns_logits_in_training_and_in_evaluation(tiny: NetworkSpec) -> None:
    model = Model(tiny, num_classes=5, aux=True)
    for mode in (True, False):
        out = model.train(mode)(torch.randn(3, 3, 16, 16))
        assert isinstance(out, torch.Tensor)
        assert out.shape == (3, 5)


@pytest.mark.parametrize("name", ["googlenet", "googlenet_small"])
def test_the_smallest_size_works_and_one_pixel_less_does_not(name: str) -> None:
    net = NETS[name]
    size = min_size(net)
    model = Model(net, num_classes=2).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, size, size)).shape == (1, 2)
        with pytest.raises(TableError, match=f"at least {size}x{size}"):
            model(torch.zeros(1, 3, size - 1, size - 1))
    with pytest.raises(TableError, match=f"at least {size}x{size}"):
        Model(net, size=size - 1)


@pytest.mark.parametrize("size", [31, 100, 225, 300])
def test_table_and_torch_agree_on_odd_sizes(size: int) -> None:
    model = Model(NETS["googlenet"], num_classes=2).eval()
    rows = layer_costs(model.net, (3, size, size), 2)
    with torch.inference_mode():
        maps = model.forward_intermediates(torch.zeros(1, 3, size, size), [*model.net.body], intermediates_only=True)
    assert [tuple(each.shape[1:]) for each in maps] == [row.output for row in rows[: len(maps)]]


def test_intermediates_refuse_unknown_names_and_heads_built_for_another_size(tiny: NetworkSpec) -> None:
    model = Model(tiny, aux=True)
    with pytest.raises(TableError, match="did you mean 'aux.mix'"):
        model.forward_intermediates(torch.zeros(1, 3, 16, 16), ["aux.mx"])
    with pytest.raises(TableError, match="built for images of 16x16, not 24x24"):
        model.forward_intermediates(torch.zeros(1, 3, 24, 24), ["aux.mix"])


def test_reset_classifier_reaches_every_head(tiny: NetworkSpec) -> None:
    model = Model(tiny, num_classes=3, aux=True).eval()
    model.reset_classifier(7)
    features, (aux_logits,) = model.forward_intermediates(torch.zeros(2, 3, 16, 16), ["aux.mix"])
    assert model.forward_head(features).shape == aux_logits.shape == (2, 7)
    assert model.num_classes == 7


def test_features_and_head_make_up_the_model(tiny: NetworkSpec) -> None:
    model = Model(tiny, num_classes=3).eval()
    x = torch.randn(2, 3, 16, 16)
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, model.num_features)
    torch.testing.assert_close(model.get_classifier()(pooled), model(x))
    assert [info["num_chs"] for info in model.feature_info] == [16, 16]
    assert [info["reduction"] for info in model.feature_info] == [2, 4]


def test_a_model_without_classes_gives_what_the_classifier_would_receive(tiny: NetworkSpec) -> None:
    model = Model(tiny, num_classes=3, aux=True).eval()
    x = torch.randn(2, 3, 16, 16)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    model.reset_classifier(0)
    assert torch.equal(model(x), pooled)
    assert model.num_features == 16
    model.reset_classifier(5)
    assert model.forward_intermediates(x, ["aux.mix"])[1][0].shape == (2, 5)
    assert Model(tiny, num_classes=0)(x).shape == (2, 16)


def test_recomputing_going_backward_changes_nothing_but_memory(tiny: NetworkSpec) -> None:
    torch.manual_seed(0)
    plain = Model(tiny, num_classes=3).train()
    thrifty = copy.deepcopy(plain)
    thrifty.set_grad_checkpointing()
    x = torch.randn(4, 3, 16, 16)
    for model in (plain, thrifty):
        torch.manual_seed(1)  # the same dropout
        model(x).square().sum().backward()
    for (name, one), (_, other) in zip(plain.named_parameters(), thrifty.named_parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad), name
    kept = thrifty.state_dict()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, kept[name]), name  # batch normalization has counted the batch once


def test_feature_maps_of_every_stage() -> None:
    model = inceptorch.create_model("inception_v3", features_only=True).eval()
    assert model.layers == ["conv2b", "conv4a", "5d", "6e", "7c"]
    assert [info["reduction"] for info in model.feature_info] == [2, 4, 8, 16, 32]
    x = torch.zeros(1, 3, 96, 96)
    maps = model(x)
    assert [m.shape[1] for m in maps] == [64, 192, 288, 768, 2048]
    two = inceptorch.create_model("inception_v3", features_only=True, out_indices=(1, 3))
    assert two.layers == ["conv4a", "6e"]
    assert "7c" not in dict(two.body.named_children())  # what lies behind is not computed
    with pytest.raises(TableError, match="has 5 stages, so out_indices go from 0 to 4"):
        inceptorch.create_model("inception_v3", features_only=True, out_indices=[7])
    with pytest.raises(TableError, match="out_indices go from 0 to 4, not \\[\\]"):
        inceptorch.create_model("inception_v3", features_only=True, out_indices=[])
    with pytest.raises(TableError, match="features_only=True"):
        inceptorch.create_model("inception_v3", out_indices=[1])


def test_drop_rate_goes_to_the_head() -> None:
    rates = [m.p for m in inceptorch.create_model("googlenet", drop_rate=0.1).modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.1]
    assert isinstance(inceptorch.create_model("bn_inception_small", drop_rate=0.3).head.dropout, nn.Dropout)


def test_no_weight_decay_names_biases_and_normalization() -> None:
    model = inceptorch.create_model("inception_v3_small", num_classes=2)
    kept = model.no_weight_decay()
    assert {"body.5b.0.bn.weight", "body.5b.0.bn.bias", "head.linear.bias"} <= kept
    assert not kept & {"body.5b.0.conv.weight", "head.linear.weight"}


def test_reductions_are_those_of_the_strides_at_any_size() -> None:
    for size in (299, 139, 96):
        info = Model(NETS["inception_v3"], 2, size=size, initialize=False).feature_info
        assert [row["reduction"] for row in info if row["module"] in ("body.conv2b", "body.5d", "body.7c")] == [
            2,
            8,
            32,
        ]


def test_a_model_can_be_made_in_inference_mode_and_without_memory(tiny: NetworkSpec) -> None:
    with torch.inference_mode():
        assert Model(tiny, 2)(torch.zeros(1, 3, 16, 16)).isfinite().all()
    with torch.device("meta"):
        assert Model(tiny, 2).get_classifier().weight.is_meta


def test_a_fresh_classifier_is_where_the_model_is_and_as_precise(tiny: NetworkSpec) -> None:
    model = Model(tiny, 2).double()
    model.reset_classifier(4)
    assert model.get_classifier().weight.dtype == torch.float64
    assert model(torch.zeros(1, 3, 16, 16, dtype=torch.double)).shape == (1, 4)


@pytest.mark.parametrize("arguments", [{"num_classes": -1}, {"in_chans": 0}])
def test_impossible_numbers_are_refused(arguments: dict[str, int], tiny: NetworkSpec) -> None:
    with pytest.raises(TableError, match="at least 0 classes and 1 channel"):
        Model(tiny, **arguments)  # type: ignore[arg-type]


def test_networks_with_fully_connected_layers_say_which_images_they_serve() -> None:
    model = Model(NETS["alexnet_small"], 5).eval()
    with pytest.raises(
        TableError, match="48x48 through alexnet_small: its layer fc6 was built for images of 32x32. .*with size=48"
    ):
        model(torch.zeros(1, 3, 48, 48))
    assert Model(NETS["alexnet_small"], 5, size=48)(torch.zeros(2, 3, 48, 48)).shape == (2, 5)


# One for each kind of layer.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["googlenet", "bn_inception_small", "inception_v3_small", "inception_resnet_v1_small", "alexnet_small"]
)
def test_compiling_exporting_and_ddp(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Model(NETS[name], 5).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(x)
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)
    torch.distributed.init_process_group("gloo", f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(model.train())
        for _ in range(2):  # a parameter left without a gradient would be an error in the second step
            parallel(x).square().sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def test_create_model_takes_classes_and_channels(tiny: NetworkSpec) -> None:
    model = inceptorch.create_model("tiny", num_classes=4, in_chans=5)
    assert model(torch.zeros(2, 5, 16, 16)).shape == (2, 4)
    assert inceptorch.create_model("tiny").num_classes == 1000
