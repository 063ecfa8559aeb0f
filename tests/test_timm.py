"""Our networks among timm's: made by timm's factory and used by timm's tools."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config, resolve_model_data_config
from timm.models import FeatureGraphNet, group_parameters
from timm.models._hub import load_model_config_from_path
from timm.models._manipulate import group_with_matcher
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names

import inceptorch
import inceptorch.timm
from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.published import published
from inceptorch.errors import TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS


def made(name: str, **options: Any) -> Model:
    model = timm.create_model(name, **options)
    assert isinstance(model, Model)
    return model


@pytest.mark.parametrize("name", ["googlenet", "bn_inception_small", "inception_v3_small"])
def test_timm_makes_our_networks(name: str) -> None:
    model = made(f"inceptorch/{name}", num_classes=7, in_chans=1, drop_rate=0.25)
    assert model.net.name == name
    assert model(torch.zeros(2, 1, 96, 96)).shape == (2, 7)
    size = NETS[name].size
    data = resolve_data_config({}, model=model)
    assert data["input_size"] == (3, size, size)
    cfg = timm.get_pretrained_cfg(f"inceptorch_{name}")  # that of the first published weights, where there are some
    assert cfg is not None
    assert data["mean"] == cfg.mean


def test_timm_lists_them_and_its_own_names_still_work() -> None:
    assert set(timm.list_models("inceptorch_*")) == {f"inceptorch_{name}" for name in (*NETS, "network")}
    assert timm.create_model("mobilenetv3_small_050", num_classes=2).num_classes == 2
    with pytest.raises(RuntimeError, match="Unknown model"):
        timm.create_model("inceptorch/gogglenet")
    with pytest.raises(TableError, match="inceptorch_googlenet has no 'windows'"):
        timm.create_model("inceptorch/googlenet", windows=3)
    with pytest.raises(RuntimeError, match=r"Invalid pretrained tag \(a1_in1k\) for inceptorch_googlenet"):
        timm.create_model("inceptorch/googlenet.a1_in1k", pretrained=True)


def test_published_weights_through_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's v3 and timm's are tags of one network of ours."""
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path))
    bundle = tmp_path / "weights" / "inception_v3.gluon_in1k" / "bundle"
    given = Model(NETS["inception_v3_tv"], 1000)
    Classifier.of(given, published()["inception_v3.gluon_in1k"].preprocessing, [f"{n}" for n in range(1000)]).save(
        bundle
    )
    fetched = bundle.with_name("model.safetensors")
    fetched.write_bytes(b"")
    monkeypatch.setattr("inceptorch.classifier.published.fetch", lambda name: fetched)  # no network here
    model = made("inceptorch/inception_v3_tv.gluon_in1k", pretrained=True)
    assert torch.equal(model.get_classifier().weight, given.get_classifier().weight)
    assert resolve_data_config({}, model=model)["mean"] == pytest.approx((0.485, 0.456, 0.406))
    with pytest.raises(RuntimeError, match="No pretrained weights exist for inceptorch_nin"):
        timm.create_model("inceptorch_nin", pretrained=True)


def test_weights_for_bgr_are_right_on_timms_photographs(
    converted: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timm feeds RGB. Of these 50, 32 are right, and 22 with the channels swapped."""
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path))
    fetched = tmp_path / "weights" / "googlenet.bvlc" / "bvlc_googlenet.caffemodel"
    shutil.copytree(converted, fetched.with_name("bundle"))
    fetched.touch()
    monkeypatch.setattr("inceptorch.classifier.published.fetch", lambda name: fetched)  # no network here
    model = timm.create_model("inceptorch/googlenet.bvlc", pretrained=True).eval()
    transform = create_transform(**resolve_data_config({}, model=model))
    with open(shared / "photos" / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))[:50]
    images = torch.stack([transform(Image.open(shared / "photos" / row["file"]).convert("RGB")) for row in rows])
    with torch.inference_mode():
        predicted, swapped = (model(given).argmax(1) for given in (images, images.flip(1)))
    labels = torch.tensor([int(row["class_index"]) for row in rows])
    right, wrong = ((each == labels).sum().item() for each in (predicted, swapped))
    assert right - wrong >= 8


@pytest.mark.parametrize("name", ["googlenet.bvlc", "bn_inception_caffe.cadene"])
def test_weights_for_bgr_are_described_in_rgb(name: str) -> None:
    pixels = published()[name].preprocessing
    cfg = timm.get_pretrained_cfg(f"inceptorch_{name}")
    assert cfg is not None
    assert pixels.channels == "bgr"
    assert cfg.mean == pytest.approx([value / 255 for value in reversed(pixels.mean)])
    assert cfg.std == pytest.approx([value / 255 for value in reversed(pixels.std)])


@pytest.mark.parametrize("name", ["inception_v3", "googlenet.bvlc"])
def test_feature_models_want_the_same_images(name: str) -> None:
    assert resolve_model_data_config(empty(name, features_only=True)) == resolve_model_data_config(empty(name))


def test_timms_feature_maps() -> None:
    body = empty("inception_v3", features_only=True, out_indices=(1, 3))
    assert body.feature_info.channels() == [192, 768]
    assert body.feature_info.reduction() == [4, 16]
    assert [features.shape[1] for features in body(torch.zeros(1, 3, 96, 96, device="meta"))] == [192, 768]


def test_timms_optimizers_averages_and_resets() -> None:
    model = made("inceptorch/inception_v3_small", num_classes=3)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.1, weight_decay=1e-4, layer_decay=0.8)
    scales = {group["lr_scale"] for group in optimizer.param_groups}
    assert len(scales) > 10  # a rate for every row with weights
    linear = model.get_classifier()
    undecayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] == 0 for p in group["params"]}
    assert id(linear.bias) in undecayed
    assert id(linear.weight) not in undecayed
    groups = group_parameters(model, model.group_matcher(coarse=True))
    assert min(groups) == 0
    assert "body.conv1a.conv.weight" in groups[0]

    average = ModelEmaV3(model, decay=0.5)
    x = torch.randn(4, 3, 32, 32)
    before = model.state_dict()["head.linear.weight"].clone()
    torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    average.update(model)
    kept = average.module.state_dict()["head.linear.weight"]
    assert not torch.equal(linear.weight, before)
    torch.testing.assert_close(kept, (linear.weight.detach() + before) / 2)

    model.reset_classifier(0)
    assert model(x).shape == (4, model.num_features)


# What timm asks of its own networks in its tests, asked of ours. Without memory, as shapes and graphs are enough here;
# tests/models/test_blocks.py compares numbers. Every network answers once. What depends on the kinds of layers alone is
# asked of one network for each kind: plain convolutions, separable ones and batch normalization, nested branches,
# residual modules, and fully connected layers with local response normalization.
KINDS = ["googlenet_small", "bn_inception_small", "inception_v3_small", "inception_resnet_v1_small", "alexnet_small"]


def empty(name: str, **options: Any) -> Any:
    with torch.device("meta"):
        return timm.create_model(f"inceptorch_{name}", **options)


def images(name: str, count: int = 2) -> torch.Tensor:
    return torch.zeros(count, 3, NETS[name].size, NETS[name].size, device="meta")


@pytest.mark.parametrize("name", NETS)
def test_network_and_head_agree_with_the_default_cfg(name: str) -> None:
    model, x = empty(name).eval(), images(name)
    cfg = model.default_cfg
    assert cfg["input_size"] == tuple(x.shape[1:])
    features = model.forward_features(x)
    assert features.shape[2:] == cfg["pool_size"]
    assert model.forward_head(features).shape == (2, 1000)
    assert model.forward_head(features, pre_logits=True).shape == (2, model.head_hidden_size)
    first = model.get_submodule(cfg["first_conv"])
    assert isinstance(first, nn.Conv2d)
    assert first.in_channels == 3
    assert first.weight.shape[1] in (3, 1)  # 1: of a separable convolution
    assert model.get_classifier() is model.get_submodule(cfg["classifier"])


@pytest.mark.parametrize("name", KINDS)
def test_classifier_and_pooling_are_reset(name: str) -> None:
    model = empty(name).eval()
    x = model.forward_features(images(name))
    model.reset_classifier(7)
    assert (model.forward_head(x).shape, model.num_classes) == ((2, 7), 7)
    model.reset_classifier(0)
    assert model.forward_head(x).shape == (2, model.num_features)
    assert isinstance(model.get_classifier(), nn.Identity)
    model.reset_classifier(0, "")
    assert model.forward_head(x).shape == x.shape
    model.reset_classifier(3)
    assert model.forward_head(x).shape == (2, 3)
    assert empty(name, num_classes=0).eval().forward_head(x).shape == (2, model.num_features)
    assert empty(name, num_classes=0, global_pool="").eval().forward_head(x).shape == x.shape


@pytest.mark.parametrize("name", KINDS)
def test_features_and_intermediates(name: str) -> None:
    body, x = empty(name, features_only=True).eval(), images(name)
    maps = body(x)
    assert [each.shape[1] for each in maps] == body.feature_info.channels()
    assert "num_classes" not in body.default_cfg
    model = empty(name).eval()
    last, intermediates = model.forward_intermediates(x)
    assert [each.shape for each in intermediates] == [each.shape for each in maps]
    assert model.forward_head(last).shape == (2, 1000)
    two = empty(name, features_only=True, feature_cls="getter", out_indices=(0, -2)).eval()
    assert [each.shape for each in two(x)] == [maps[0].shape, maps[-2].shape]
    assert two.feature_info.channels() == [maps[0].shape[1], maps[-2].shape[1]]


@pytest.mark.parametrize("name", KINDS)
def test_timms_own_feature_graphs(name: str) -> None:
    """timm's extractor by torch.fx, forward and backward."""
    model, x = empty(name).train(), images(name)
    nodes = get_graph_node_names(model)
    assert nodes[0] == nodes[1]
    graph = FeatureGraphNet(model, out_indices=(1, -1), out_map=["one", "last"])
    maps = graph(x)
    assert [each.shape[1] for each in maps] == [model.feature_info[at]["num_chs"] for at in (1, -1)]
    maps[-1].sum().backward()
    assert all(parameter.grad is not None for key, parameter in graph.named_parameters() if key.startswith("body"))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_training_and_the_groups_of_parameters(name: str) -> None:
    model, x = empty(name, num_classes=5).train(), images(name)
    for checkpointing in (False, True):
        model.zero_grad()
        model.set_grad_checkpointing(checkpointing)
        model(x).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
    parameters = dict(model.named_parameters())
    assert model.no_weight_decay() <= parameters.keys()
    for coarse in (False, True):
        groups = group_with_matcher(model.named_parameters(), model.group_matcher(coarse), reverse=True)
        assert groups.keys() == parameters.keys()


def test_tags_are_known_to_timm() -> None:
    assert {f"inceptorch_{each.net}.{each.name.partition('.')[2]}" for each in published().values()} == set(
        timm.list_pretrained("inceptorch_*")
    )
    cfg = timm.get_pretrained_cfg("inceptorch_inception_v4.tf_in1k")
    assert cfg is not None
    assert (cfg.url, cfg.tag) == (published()["inception_v4.tf_in1k"].url, "tf_in1k")


def test_what_timm_saves_of_ours_timm_loads(tmp_path: Path) -> None:
    model = timm.create_model("inceptorch_googlenet_small", num_classes=3).eval()
    timm.models.save_for_hf(model, str(tmp_path), safe_serialization=True)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(x), again(x))
    wider = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=7, in_chans=1)
    assert wider(torch.randn(2, 1, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_timm_loads_our_bundles(channels: Literal["rgb", "bgr"], tiny: NetworkSpec, tmp_path: Path) -> None:
    """Networks of one's own included; weights for BGR are turned around, as timm's images are RGB."""
    torch.manual_seed(0)
    own = replace(tiny, name="mine")
    pixels = replace(default_preprocessing(16), channels=channels, mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0))
    classifier = Classifier.of(Model(own, 3, aux=True).eval(), pixels, ["a", "b", "c"], aux_heads=True)
    classifier.save(tmp_path / "bundle")
    cfg, name, _ = load_model_config_from_path(tmp_path / "bundle")
    assert (name, cfg["label_names"], cfg["num_classes"]) == ("inceptorch_network", ["a", "b", "c"], 3)
    model = timm.create_model(f"local-dir:{tmp_path / 'bundle'}", pretrained=True).eval()
    squares = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    data = resolve_data_config({}, model=model)
    mean, std = (torch.tensor(data[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    given = model((squares / 255 - mean) / std)
    torch.testing.assert_close(given, classifier.model(Normalize(pixels)(squares)), rtol=1e-4, atol=1e-5)
    assert inceptorch.load(tmp_path / "bundle").model.net == own


@pytest.mark.slow
def test_transformers_load_our_bundles(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    classifier = Classifier.of(Model(NETS["googlenet_small"], 2).eval(), default_preprocessing(32), ["a", "b"])
    classifier.save(tmp_path / "bundle")
    wrapped = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "bundle").eval()
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(wrapped(x).logits, classifier.model(x))
