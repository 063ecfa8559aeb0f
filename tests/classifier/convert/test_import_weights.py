"""Other libraries' files as bundles."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from torchvision.models import googlenet, inception_v3

import inceptorch
from inceptorch.classifier.convert import export_weights, import_weights
from inceptorch.errors import BundleError
from tests.classifier.convert.helpers import randomised, read, write
from tests.helpers import invoke

# name of published weights, their network, its side in pixels
ORACLES: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "googlenet_tv.torchvision": (
        lambda: googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=10), 224, ".pth",
    ),
    "inception_v3.torchvision": (
        lambda: inception_v3(weights=None, aux_logits=True, init_weights=False, num_classes=10), 299, ".pth",
    ),
    "inception_v3.tf_in1k": (lambda: timm.create_model("inception_v3", num_classes=10), 299, ".safetensors"),
    "inception_v4.tf_in1k": (lambda: timm.create_model("inception_v4", num_classes=10), 299, ".safetensors"),
    "inception_resnet_v2.tf_in1k": (
        lambda: timm.create_model("inception_resnet_v2", num_classes=10), 299, ".safetensors",
    ),
}  # fmt: skip


@pytest.fixture(params=ORACLES)
def oracle(request: pytest.FixtureRequest) -> tuple[str, nn.Module, int, str]:
    make, size, suffix = ORACLES[request.param]
    return request.param, randomised(make()).eval(), size, suffix


def test_theirs_and_ours_agree_and_the_way_back_is_bit_identical(
    oracle: tuple[str, nn.Module, int, str], tmp_path: Path, labels: Path
) -> None:
    name, theirs, size, suffix = oracle
    given = {key: tensor.clone() for key, tensor in theirs.state_dict().items()}
    file = write(tmp_path / f"weights{suffix}", given)
    import_weights(file, tmp_path / "bundle", source=name, labels=labels)
    ours = inceptorch.load(tmp_path / "bundle").model
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))

    export_weights(tmp_path / "bundle", tmp_path / f"back{suffix}")
    back = read(tmp_path / f"back{suffix}")
    assert back.keys() == given.keys()
    for key, tensor in given.items():
        assert torch.equal(back[key], tensor), key


def test_auxiliary_heads_travel_with_published_weights(tmp_path: Path, labels: Path) -> None:
    theirs = randomised(googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=10))
    file = write(tmp_path / "tv.pth", theirs.state_dict())
    assert import_weights(file, tmp_path / "bundle", labels=labels).config.aux_heads
    again = inceptorch.load(tmp_path / "bundle")
    assert torch.equal(again.model.state_dict()["aux.4d.linear.weight"], theirs.state_dict()["aux2.fc2.weight"])
    # and are what a training begins from
    begun = inceptorch.create_model("googlenet_tv", weights=tmp_path / "bundle", aux=True)
    assert torch.equal(begun.state_dict()["aux.4a.fc.linear.weight"], theirs.state_dict()["aux1.fc1.weight"])


def test_tensorflows_background_class_is_left_out(tmp_path: Path) -> None:
    theirs = randomised(timm.create_model("inception_v3", num_classes=1001))
    file = write(tmp_path / "model.safetensors", theirs.state_dict())
    classifier = import_weights(file, tmp_path / "bundle", source="inception_v3.tf_in1k")
    assert classifier.classes[0] == "tench"
    assert torch.equal(classifier.model.get_classifier().weight, theirs.state_dict()["fc.weight"][1:])


def test_the_origin_is_found_out_or_asked_for(tmp_path: Path, labels: Path) -> None:
    theirs = timm.create_model("inception_v3", num_classes=10).state_dict()
    file = write(tmp_path / "model.safetensors", theirs)
    with pytest.raises(BundleError, match=r"Try --source with one of .*inception_v3.gluon_in1k"):
        import_weights(file, tmp_path / "a", labels=labels)
    (tmp_path / "config.json").write_text('{"architecture": "inception_v3", "pretrained_cfg": {"tag": "gluon_in1k"}}')
    gluon = import_weights(file, tmp_path / "a", labels=labels)
    assert gluon.preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))
    with pytest.raises(BundleError, match="holds a network like inception_v3_tv, not inception_v4"):
        import_weights(file, tmp_path / "b", source="inception_v4.tf_in1k", labels=labels)
    assert not (tmp_path / "b").exists()


def test_a_guess_is_said_and_foreign_weights_have_no_published_accuracy(tmp_path: Path, labels: Path) -> None:
    state = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10).state_dict()
    file = write(tmp_path / "mine.pth", state)
    result = invoke("convert", file, "--out", tmp_path / "bundle", "--labels", labels)
    assert result.exit_code == 0, result.output
    guess = "The file does not tell how its images were scaled: taken as for googlenet_tv.torchvision."
    assert guess in result.stdout
    metadata = inceptorch.load(tmp_path / "bundle").config.metadata
    assert metadata.note is not None
    assert metadata.note.startswith(guess)
    assert (metadata.weights, metadata.accuracy, metadata.license) == (None, None, None)
    named = import_weights(file, tmp_path / "named", source="googlenet_tv.torchvision", labels=labels)
    assert "does not tell" not in (named.config.metadata.note or "")


def test_files_that_lack_or_have_too_much_are_refused_by_name(tmp_path: Path, labels: Path) -> None:
    state = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10).state_dict()
    file = write(tmp_path / "more.pth", {**state, "extra.weight": torch.zeros(1)})
    with pytest.raises(BundleError, match="it has 'extra.weight', which"):
        import_weights(file, tmp_path / "out", labels=labels)
    state.pop("inception4c.branch3.1.bn.running_var")
    file = write(tmp_path / "less.pth", state)
    with pytest.raises(BundleError, match="has no 'inception4c.branch3.1.bn.running_var'"):
        import_weights(file, tmp_path / "out", labels=labels)


def test_odd_tensors_are_refused(tmp_path: Path, labels: Path) -> None:
    state = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10).state_dict()
    stem, head = "conv1.conv.weight", "fc.weight"
    for changes, sentence in [
        ({head: torch.tensor(1.0)}, "has no 'fc.weight' of 2 dimensions"),
        ({stem: torch.zeros(5)}, "has no 'conv1.weight' of 4 dimensions"),
        ({stem: state[stem].sum(1, keepdim=True)}, "is for images of other than 3 channels"),
        ({stem: state[stem] * torch.nan}, "holds numbers in 'conv1.conv.weight' that are not real and finite"),
        ({stem: state[stem].to(torch.complex64)}, "not real and finite"),
        ({stem: state[stem].to_sparse()}, "does not hold plain tensors|torch.save wrote"),
        ({"conv2.conv.weight": state["conv2.conv.weight"].reshape(32, 128, 1, 1)}, r"conv2.0.conv.weight is \[32, 128"),
        ({head: torch.zeros(0, 1024), "fc.bias": torch.zeros(0)}, "a classifier of 0 classes"),
    ]:  # fmt: skip
        file = write(tmp_path / "odd.pth", {**state, **changes})
        with pytest.raises(BundleError, match=sentence):
            import_weights(file, tmp_path / "out", labels=labels)
    labels.write_text("a\n" * 10)
    with pytest.raises(BundleError, match="has the class 'a' twice"):
        import_weights(write(tmp_path / "good.pth", state), tmp_path / "out", labels=labels)


def test_the_bundle_knows_its_pixels_and_names(converted: Path) -> None:
    classifier = inceptorch.load(converted)
    assert (classifier.preprocessing.channels, classifier.preprocessing.mean) == ("bgr", (104.0, 117.0, 123.0))
    assert len(classifier.classes) == 1000
    assert classifier.classes[0] == "tench, Tinca tinca"
