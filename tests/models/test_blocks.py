"""Tools that go by modules' exact types and by torch.fx see every layer of every network."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops._utils import split_normalization_params

from inceptorch.errors import TableError
from inceptorch.models.module import Model
from inceptorch.networks.complexity import count_complexity, min_size
from inceptorch.networks.zoo import NETS

SMALL = ["googlenet_small", "bn_inception_small", "inception_resnet_v1_small", "alexnet_small", "googlenet"]


@cache
def without_memory(name: str) -> Model:
    """Every network is built once, for small images. Only shapes and graphs are looked at, and nothing is changed."""
    with torch.device("meta"):
        return Model(NETS[name], 5, size=max(32, min_size(NETS[name])), initialize=False).eval()


def counted_macs(model: nn.Module, x: Tensor) -> int:
    """Multiply-adds as the usual counters get them: hooks on modules whose type is exactly one of torch's."""
    counts, handles = [], []

    def hook(module: nn.Module, _: Any, out: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        places = out.shape[2] * out.shape[3] if out.ndim == 4 else 1
        counts.append(module.weight.numel() * places)

    for module in model.modules():
        if type(module) in (nn.Conv2d, nn.Linear):
            handles.append(module.register_forward_hook(hook))
    model(x)
    for handle in handles:
        handle.remove()
    return sum(counts)


@pytest.mark.parametrize("name", NETS)
def test_counters_by_exact_type_count_what_the_table_says(name: str) -> None:
    model = without_memory(name)
    x = torch.zeros(1, 3, model.size, model.size, device="meta")
    assert counted_macs(model, x) == count_complexity(name, model.size, 5).macs


@pytest.mark.parametrize("name", NETS)
def test_fx_sees_every_layer(name: str) -> None:
    model = without_memory(name)
    graph = fx.symbolic_trace(model)
    called = {node.target for node in graph.graph.nodes if node.op == "call_module"}
    weighted = {
        path for path, module in model.named_modules() if next(module.parameters(recurse=False), None) is not None
    }
    assert weighted <= called
    assert {type(model.get_submodule(path)) for path in weighted} <= {nn.Conv2d, nn.Linear, nn.BatchNorm2d}


@pytest.mark.parametrize("name", NETS)
def test_torchvision_counts_every_parameter_once(name: str) -> None:
    norms, others = split_normalization_params(without_memory(name))
    learned = [each for each in without_memory(name).parameters() if each.requires_grad]  # a whitening's filters do not
    assert len(norms) + len(others) == len(learned)
    assert all(each.ndim == 1 for each in norms)


@pytest.mark.parametrize("name", SMALL)
def test_a_traced_network_answers_and_learns_as_the_network_does(name: str) -> None:
    torch.manual_seed(0)
    model = Model(NETS[name], 5).eval()
    size = 64 if name == "googlenet" else 32
    x = torch.randn(2, 3, size, size)
    graph = fx.symbolic_trace(model)
    whole, traced = model(x), graph(x)
    assert torch.equal(whole, traced)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(whole.square().sum(), parameters)
    for one, other in zip(gradients, torch.autograd.grad(traced.square().sum(), parameters), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", SMALL)
def test_torchvision_extracts_features_by_the_papers_names(name: str) -> None:
    model = Model(NETS[name], 5).eval()
    size = 64 if name == "googlenet" else 32
    x = torch.randn(1, 3, size, size)
    names = [*model.net.body][-2:]
    extracted = create_feature_extractor(model, {f"body.{each}": each for each in names})(x)
    for each, tensor in zip(names, model.forward_intermediates(x, names, intermediates_only=True), strict=True):
        assert torch.equal(extracted[each], tensor)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_dynamic_quantization_reaches_every_linear_layer() -> None:
    torch.manual_seed(0)
    model = Model(NETS["alexnet_small"], 5).eval()
    quantize = torch.ao.quantization.quantize_dynamic
    quantized = quantize(model, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    assert not [path for path, module in quantized.named_modules() if type(module) is nn.Linear]
    x = torch.randn(4, 3, 32, 32)
    answers, expected = quantized(x), model(x)
    assert (answers - expected).abs().max() < 0.1 * expected.abs().max()


def test_intermediates_by_stage_and_by_name() -> None:
    model = Model(NETS["googlenet"], 5, aux=True, size=96).eval()
    x = torch.randn(1, 3, 96, 96)
    last, stages = model.forward_intermediates(x)
    assert torch.equal(model.forward_head(last), model(x))
    assert [stage.shape[1:] for stage in stages] == [
        (info["num_chs"], 96 // int(info["reduction"]), 96 // int(info["reduction"])) for info in model.feature_info
    ]
    (two, one) = model.forward_intermediates(x, [-1, "4a"], intermediates_only=True)
    assert torch.equal(two, stages[-1])
    assert one.shape == (1, 512, 6, 6)
    early, (same, logits) = model.forward_intermediates(x, ["4a", "aux.4a"], stop_early=True)
    assert early is same
    assert torch.equal(same, one)
    assert torch.equal(logits, model.forward_intermediates(x, ["aux.4a"])[1][0])
    assert len(model.forward_intermediates(x, 2, intermediates_only=True)) == 2
    for indices, sentence in (
        ([7], "has 5 stages, so out_indices go from 0 to 4"),
        (9, "not the last 9 of them"),
        (["4z"], "no activation '4z'"),
        ([], r"not \[\]"),
    ):
        with pytest.raises(TableError, match=sentence):
            model.forward_intermediates(x, indices)
    with pytest.raises(TableError, match="Cannot give maps as NHWC"):
        model.forward_intermediates(x, output_fmt="NHWC")


def test_pruned_networks_keep_the_chosen_stages() -> None:
    model = Model(NETS["inception_v3_small"], 5).eval()
    x = torch.randn(1, 3, 32, 32)
    expected = model.forward_intermediates(x, (1, 2), intermediates_only=True)
    assert model.prune_intermediate_layers((1, 2)) == [1, 2]
    kept = model.forward_intermediates(x, (1, 2), intermediates_only=True)
    assert all(torch.equal(one, other) for one, other in zip(expected, kept, strict=True))
    assert model.num_classes == 0
    assert not [name for name, _ in model.named_parameters() if name.startswith(("head.", "body.7c"))]
