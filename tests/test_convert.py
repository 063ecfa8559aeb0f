"""Weights in and out: torchvision and timm as oracles, Caffe's wire format, and what must be refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import googlenet, inception_v3

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.classifier.convert import export_weights, import_weights
from inceptorch.classifier.convert.caffe import net_parameter
from inceptorch.classifier.convert.layer_names import NAMES, tensor_names
from inceptorch.errors import BundleError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv
from inceptorch.networks.zoo import NETS
from tests.conftest import Trap


def randomised(model: nn.Module) -> nn.Module:
    """The model with weights and statistics such as training leaves, so that every tensor matters."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


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


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"class {number}\n" for number in range(10)))
    return path


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path) if path.suffix == ".pth" else save_file(tensors, path)
    return path


def read(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(path, weights_only=True) if path.suffix == ".pth" else load_file(path)
    return tensors


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


@pytest.mark.parametrize(
    ("make", "size", "rows", "pick"),
    [
        (googlenet, 224, ["aux.4a", "aux.4d"], lambda out: [out.aux_logits1, out.aux_logits2]),
        (inception_v3, 299, ["aux.6e"], lambda out: [out.aux_logits]),
        (lambda **_: timm.create_model("inception_v3", aux_logits=True), 299, ["aux.6e"], lambda out: [out[1]]),
    ],
    ids=["torchvision googlenet", "torchvision inception_v3", "timm inception_v3"],
)
def test_auxiliary_logits_in_training_are_theirs(
    make: Callable[..., nn.Module], size: int, rows: list[str], pick: Callable[..., list[Tensor]]
) -> None:
    theirs = without_dropout(randomised(make(weights=None, aux_logits=True, init_weights=False))).train()
    names = next(names for names in NAMES.values() if rows[0] in names.layers and names.library != "Caffe")
    ours = Model(NETS[names.nets[0]], aux=True, initialize=False)
    state = theirs.state_dict()
    ours.load_state_dict({mine: state[other] for mine, other in tensor_names(ours, names).items()})
    without_dropout(ours).train()
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        features, aux_logits = ours.forward_intermediates(x, rows)
        logits = ours.forward_head(features)
        out = theirs(x)
    for mine, other in zip([logits, *aux_logits], [out[0], *pick(out)], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def caffemodel(
    path: Path, layers: dict[str, list[Tensor]], *, old: bool = False, kinds: dict[str, str] | None = None
) -> Path:
    """A file of Caffe's weights; `old` as Caffe wrote it before 2015, with four legacy sides for every blob."""
    net = net_parameter()(name="written by a test")
    for name, blobs in layers.items():
        layer = (
            net.layers.add(name=name) if old else net.layer.add(name=name, type=(kinds or {}).get(name, "Convolution"))
        )
        for tensor in blobs:
            blob = layer.blobs.add(data=tensor.flatten().tolist())
            if old:
                sides = (1,) * (4 - tensor.ndim) + tuple(tensor.shape)
                blob.num, blob.channels, blob.height, blob.width = sides
            else:
                blob.shape.dim.extend(tensor.shape)
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize("old", [False, True], ids=["layer", "layers"])
def test_a_caffemodel_makes_the_same_bundle_as_the_npz(shared: Path, tmp_path: Path, old: bool) -> None:
    npz = shared / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz"
    words = npz.with_name("synset_words.txt")
    with np.load(npz) as arrays:
        layers = {
            name.removesuffix(".weight"): [torch.from_numpy(arrays[name]), torch.from_numpy(arrays[name[:-6] + "bias"])]
            for name in arrays.files
            if name.endswith(".weight")
        }
    file = caffemodel(tmp_path / "bvlc_googlenet.caffemodel", layers, old=old)
    import_weights(file, tmp_path / "caffe", labels=words)
    import_weights(npz, tmp_path / "npz")
    for part in ("model.safetensors", "config.json", "README.md"):
        assert (tmp_path / "caffe" / part).read_bytes() == (tmp_path / "npz" / part).read_bytes()


@pytest.mark.parametrize("kind", ["BN", "BatchNorm"])
def test_bn_inception_from_caffe(tmp_path: Path, labels: Path, kind: str) -> None:
    model = randomised(Model(NETS["bn_inception_caffe"], 10)).eval()
    state = model.state_dict()
    layers: dict[str, list[Tensor]] = {}
    kinds: dict[str, str] = {}
    theirs = tensor_names(model, NAMES["caffe_bn_inception"])  # type: ignore[arg-type]
    for mine in state:
        if mine.endswith("running_mean"):
            layer, _, _ = theirs[mine].rpartition(".")
            scale, shift, mean, variance = (
                state[mine.replace("running_mean", part)] for part in ("weight", "bias", "running_mean", "running_var")
            )
            kinds[layer] = kind
            if kind == "BN":
                layers[layer] = [scale, shift, mean, variance]
            else:
                layers[layer] = [mean * 4, variance * 4, torch.tensor([4.0])]
                layers[layer.removesuffix("_bn") + "_scale"] = [scale, shift]
                kinds[layer.removesuffix("_bn") + "_scale"] = "Scale"
        elif mine.endswith(".weight") and ".bn." not in mine:
            layer, _, _ = theirs[mine].rpartition(".")
            layers[layer] = [state[mine], state[mine.replace("weight", "bias")]]
    file = caffemodel(tmp_path / "bn.caffemodel", layers, kinds=kinds)
    import_weights(file, tmp_path / "bundle", labels=labels)
    again = inceptorch.load(tmp_path / "bundle")
    assert again.preprocessing.channels == "bgr"
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(again.model(x), model(x), rtol=1e-5, atol=1e-4)


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
    with pytest.raises(BundleError, match=r"with --source: .*inception_v3.gluon_in1k"):
        import_weights(file, tmp_path / "a", labels=labels)
    (tmp_path / "config.json").write_text('{"architecture": "inception_v3", "pretrained_cfg": {"tag": "gluon_in1k"}}')
    gluon = import_weights(file, tmp_path / "a", labels=labels)
    assert gluon.preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))
    with pytest.raises(BundleError, match="holds a network like inception_v3_tv, not inception_v4"):
        import_weights(file, tmp_path / "b", source="inception_v4.tf_in1k", labels=labels)
    assert not (tmp_path / "b").exists()


def test_a_pth_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"conv1.conv.weight": Trap(tmp_path / "sprung")}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="could run code, so it is not opened"):
        import_weights(tmp_path / "w.pth", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("write_file", "sentence"),
    [
        (lambda path: path.write_bytes(b"no zip"), "not a file that torch.save wrote"),
        (lambda path: path.write_bytes(b"\x80"), "torch.save wrote|could run code"),
        (lambda path: torch.save({}, path), "does not hold plain tensors by name"),
        (lambda path: torch.save([1, 2], path), "does not hold plain tensors by name"),
        (
            lambda path: torch.save({"a": torch.zeros(2)}, path),
            "no network that inceptorch knows: its first tensor is 'a'",
        ),
        (lambda path: torch.save({"model": {"a": 3}}, path), "does not hold plain tensors by name"),
    ],
)
def test_damaged_and_foreign_pth_files(write_file: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    write_file(tmp_path / "w.pth")
    with pytest.raises(BundleError, match=sentence):
        import_weights(tmp_path / "w.pth", tmp_path / "out")


def test_files_that_lack_or_have_too_much_are_refused_by_name(tmp_path: Path, labels: Path) -> None:
    state = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10).state_dict()
    file = write(tmp_path / "more.pth", {**state, "extra.weight": torch.zeros(1)})
    with pytest.raises(BundleError, match="also has 'extra.weight'"):
        import_weights(file, tmp_path / "out", labels=labels)
    state.pop("inception4c.branch3.1.bn.running_var")
    file = write(tmp_path / "less.pth", state)
    with pytest.raises(BundleError, match="has no 'inception4c.branch3.1.bn.running_var'"):
        import_weights(file, tmp_path / "out", labels=labels)


def test_odd_tensors_are_refused(tmp_path: Path, labels: Path) -> None:
    state = googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10).state_dict()
    stem, head = "conv1.conv.weight", "fc.weight"
    for changes, sentence in [
        ({head: torch.tensor(1.0)}, "has no 'fc.weight' of 2 sides"),
        ({stem: torch.zeros(5)}, "has no 'conv1.weight' of 4 sides"),
        ({stem: state[stem].sum(1, keepdim=True)}, "is for images of other than 3 channels"),
        ({stem: state[stem] * torch.nan}, "holds numbers in 'conv1.conv.weight' that are not real and finite"),
        ({stem: state[stem].to(torch.complex64)}, "not real and finite"),
        ({stem: state[stem].to_sparse()}, "does not hold plain tensors|torch.save wrote"),
        ({"conv2.conv.weight": state["conv2.conv.weight"].reshape(32, 128, 1, 1)}, r"conv2.0.conv.weight is \[32, 128, 1, 1\]"),
        ({head: torch.zeros(0, 1024), "fc.bias": torch.zeros(0)}, "a classifier of 0 classes"),
    ]:  # fmt: skip
        file = write(tmp_path / "odd.pth", {**state, **changes})
        with pytest.raises(BundleError, match=sentence):
            import_weights(file, tmp_path / "out", labels=labels)
    labels.write_text("a\n" * 10)
    with pytest.raises(BundleError, match="has the class 'a' twice"):
        import_weights(write(tmp_path / "good.pth", state), tmp_path / "out", labels=labels)


def test_a_table_of_ones_own_is_not_exported_for_its_name(tmp_path: Path) -> None:
    net = replace(NETS["inception_v4"], body={"conv": Conv(8, 3)}, size=32)
    Classifier.of(Model(net, 2), default_preprocessing(32), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="a table of one's own, which is only called inception_v4"):
        export_weights(tmp_path / "bundle", tmp_path / "x.pth")


def test_a_pth_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    Classifier.of(Model(NETS["inception_v4"], 2), default_preprocessing(299), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(RunError, match=r"none/x.pth could not be written"):
        export_weights(tmp_path / "bundle", tmp_path / "none" / "x.pth")
    (tmp_path / "taken.pth").touch()
    with pytest.raises(BundleError, match="exists already; name another file"):
        export_weights(tmp_path / "bundle", tmp_path / "taken.pth")


@pytest.mark.parametrize("content", [b"", b"\x0a\x03abc", b"\xff" * 40], ids=["empty", "no layers", "noise"])
def test_damaged_caffemodels_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(content)
    with pytest.raises(BundleError, match="not a .caffemodel"):
        import_weights(tmp_path / "w.caffemodel", tmp_path / "out")


def test_a_network_that_no_library_has_is_not_exported(tmp_path: Path, labels: Path) -> None:
    state = {
        theirs: tensor
        for model in [Model(NETS["googlenet"], 10)]
        for mine, theirs in tensor_names(model, NAMES["caffe_googlenet"]).items()
        for tensor in [model.state_dict()[mine]]
    }
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    import_weights(tmp_path / "w.npz", tmp_path / "bundle", labels=labels)
    with pytest.raises(BundleError, match="holds googlenet, which no other library has"):
        export_weights(tmp_path / "bundle", tmp_path / "x.pth")
