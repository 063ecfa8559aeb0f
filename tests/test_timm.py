"""Our networks among timm's: made by timm's factory and used by timm's tools."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.data import resolve_data_config
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn

import inceptorch.timm  # noqa: F401 (importing it is what is tested)
from inceptorch.classifier import Classifier
from inceptorch.classifier.published import published
from inceptorch.errors import BundleError, TableError
from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS


def made(name: str, **options: Any) -> Model:
    model = timm.create_model(name, **options)
    assert isinstance(model, Model)
    return model


@pytest.mark.parametrize("name", ["googlenet", "bn_inception", "inception_v3", "inception_v4_small"])
def test_timm_makes_our_networks(name: str) -> None:
    model = made(f"inceptorch/{name}", num_classes=7, in_chans=1, drop_rate=0.25)
    assert model.net.name == name
    assert model(torch.zeros(2, 1, 96, 96)).shape == (2, 7)
    size = NETS[name].size
    data = resolve_data_config({}, model=model)
    assert data["input_size"] == (3, size, size)
    assert data["mean"] == pytest.approx((0.485, 0.456, 0.406))


def test_timm_lists_them_and_its_own_names_still_work() -> None:
    assert set(timm.list_models("inceptorch/*")) == {f"inceptorch/{name}" for name in NETS}
    assert timm.create_model("inception_v4", num_classes=2).num_classes == 2
    with pytest.raises(RuntimeError, match="Unknown model"):
        timm.create_model("inceptorch/gogglenet")
    with pytest.raises(TableError, match="inceptorch/googlenet has no 'windows'"):
        timm.create_model("inceptorch/googlenet", windows=3)
    with pytest.raises(BundleError, match=r"Published weights of googlenet have the tags: bvlc"):
        timm.create_model("inceptorch/googlenet.a1_in1k", pretrained=True)


@pytest.mark.parametrize("name", NETS)
def test_timm_is_told_the_first_convolution_and_the_classifier(name: str) -> None:
    model = Model(NETS[name], initialize=False)
    settings = timm.get_pretrained_cfg(f"inceptorch/{name}")
    assert settings is not None
    first = model.get_submodule(settings.first_conv)
    assert isinstance(first, nn.Conv2d)
    assert first.in_channels == 3
    assert model.get_submodule(settings.classifier) is model.get_classifier()


def test_published_weights_through_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's v3 and timm's are tags of one network of ours."""
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path))
    bundle = tmp_path / "weights" / "inception_v3.gluon_in1k" / "bundle"
    given = Model(NETS["inception_v3_tv"], 1000)
    Classifier.of(given, published()["inception_v3.gluon_in1k"].pixels, [f"{n}" for n in range(1000)]).save(bundle)
    fetched = bundle.with_name("model.safetensors")
    fetched.write_bytes(b"")
    monkeypatch.setattr("inceptorch.classifier.published.fetch", lambda name: fetched)  # no network here
    model = made("inceptorch/inception_v3_tv.gluon_in1k", pretrained=True)
    assert torch.equal(model.get_classifier().weight, given.get_classifier().weight)
    assert resolve_data_config({}, model=model)["mean"] == pytest.approx((0.485, 0.456, 0.406))
    with pytest.raises(BundleError, match="have the tags: torchvision, tv_in1k, tf_in1k"):
        timm.create_model("inceptorch/inception_v3_tv", pretrained=True)


def test_timms_feature_maps() -> None:
    body = timm.create_model("inceptorch/inception_v3", features_only=True, out_indices=(1, 3))
    assert body.feature_info.channels() == [192, 768]
    assert body.feature_info.reduction() == [4, 16]
    assert [features.shape[1] for features in body(torch.zeros(1, 3, 96, 96))] == [192, 768]


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
