"""Where a network looked: each method against a few independent lines, its own law, and an image whose answer is known."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from inceptorch.classifier import Classifier
from inceptorch.classifier.convert import import_weights
from inceptorch.cli import app
from inceptorch.errors import BundleError, ImageError, InceptorchError, TableError
from inceptorch.explanation import (
    METHODS,
    default_layer,
    draw,
    explain,
    find_class,
    gradcam,
    integrated_gradients,
    occlusion,
    overlay,
)
from inceptorch.explanation.gradients import TOLERANCE
from inceptorch.explanation.grid import Map, area_mean, area_sum
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import ImageArray, Preprocessing, default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import LRN, Conv, Dropout, Fork, GlobalAverage, Linear, Pool, Residual, Shape, as_layer
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import NETS
from inceptorch.utils import plots
from tests.conftest import TINY
from tests.helpers import sentence

# Every kind of layer that a body can have, and fully connected ones behind it.
EVERY = NetworkSpec(
    "every",
    title="every kind of layer",
    source="these tests",
    size=16,
    body={
        "conv1": Conv(8, 3),
        "norm1": LRN(),
        "mix": Fork(Conv(4), (Conv(4), Conv(4, 3)), (Pool("max"), Conv(4))),
        "add": Residual((Conv(6, 3), Conv(12, relu=False)), 0.3),
        "two": (Conv(8), Conv(8, 3)),
        "pool": Pool("max", 3, 2, "ceil"),
        "dropout": Dropout(0.5),
        "linear_add": Residual(Conv(8, 3, relu=False), relu=False),
    },
    head={"fc": Linear(12), "drop": Dropout(0.5)},
)


@pytest.fixture
def tiny_classifier() -> Classifier:
    return classifier_of(TINY)


@pytest.fixture
def every() -> Classifier:
    return classifier_of(EVERY)


@pytest.fixture(scope="module")
def bvlc(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return import_weights(npz, tmp_path_factory.mktemp("converted") / "googlenet")


@pytest.fixture(scope="module")
def colors() -> Classifier:
    """A network whose logits are how much red and how much green there is, made by hand."""
    net = NetworkSpec(
        "colors",
        title="red and green",
        source="these tests",
        size=32,
        body={"conv1": Conv(2, 3), "pool1": Pool("max", 3, 2, "ceil"), "conv2": Conv(2, 3), "pool2": Pool("max", 2, 2, "valid")},
        head={"avgpool": GlobalAverage()},
    )  # fmt: skip
    model = Model(net, 2)
    first, second = (model.get_parameter(f"body.{layer}.conv.weight") for layer in ("conv1", "conv2"))
    with torch.no_grad():
        for weight in (first, second):
            weight.zero_()
        first[0, 0], first[0, 1] = 1 / 9, -1 / 9  # red without green
        first[1, 1], first[1, 0] = 1 / 9, -1 / 9
        second[0, 0] = second[1, 1] = 1 / 9
        model.get_classifier().weight.copy_(torch.tensor([[5.0, -1.0], [-1.0, 5.0]]))
    return Classifier.of(model.eval(), default_preprocessing(32), ["red", "green"])


@pytest.fixture(scope="module")
def red_and_green() -> ImageArray:
    """Noise around gray, with a red patch in the upper right quarter and a green one in the lower left."""
    crop = np.clip(np.random.default_rng(0).normal(116, 6, (32, 32, 3)), 0, 255).astype(np.uint8)
    crop[4:12, 20:28] = (220, 60, 60)
    crop[20:28, 4:12] = (60, 220, 60)
    return crop


def classifier_of(net: NetworkSpec, classes: int = 3, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    model = Model(net, classes)
    with torch.no_grad():  # logits that differ, and batch normalization with statistics of its own
        model.get_classifier().weight.normal_(0, 0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return Classifier.of(
        model.eval(), default_preprocessing(net.size), [f"class {number}" for number in range(classes)]
    )


def noise(count: int, size: int, seed: int = 0) -> list[ImageArray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def with_hooks(classifier: Classifier, crop: ImageArray, index: int, layer: str) -> Tensor:
    """Grad-CAM in a few lines of its own, through hooks and a whole walk back."""
    kept: dict[str, Tensor] = {}

    def keep(module: nn.Module, given: object, out: Tensor) -> None:
        out.retain_grad()
        kept["map"] = out

    handle = classifier.model.body.get_submodule(layer).register_forward_hook(keep)
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (classifier.preprocessing.mean, classifier.preprocessing.std)
    )
    x = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)
    if classifier.preprocessing.channels == "bgr":
        x = x.flip(0)
    classifier.model((((x - mean) / std)[None]).requires_grad_())[0, index].backward()
    handle.remove()
    activation, gradient = kept["map"], kept["map"].grad
    assert gradient is not None
    weights = gradient[0].flatten(1).mean(1)
    return torch.einsum("c,chw->hw", weights, activation[0].detach()).clamp(min=0)


@pytest.mark.parametrize("layer", [layer for layer in EVERY.body if layer != "dropout"])
def test_gradcam_of_every_kind_of_layer_is_that_of_hooks(every: Classifier, layer: str) -> None:
    crops = noise(3, 16)
    found = gradcam(every, crops, [2, 0, 1], layer)
    assert found.dtype == np.float32
    assert found.max() > 0
    for crop, index, one in zip(crops, (2, 0, 1), found, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), with_hooks(every, crop, index, layer), rtol=1e-4, atol=1e-6)


def test_gradcam_of_a_trained_googlenet_is_that_of_hooks(bvlc: Classifier, shared: Path) -> None:
    crop = bvlc.preprocessing.apply(shared / "photos" / "0c7ac4a8c9dfa802.png")
    index = bvlc.predict(crop, top=1)[0]["index"]
    # Behind 4c is a maximum, which two almost equal values may win either way.
    for layer, side, share in (("5b", 7, 1e-5), ("4c", 14, 5e-3)):
        found = gradcam(bvlc, [crop], [index], layer)
        assert found.shape == (1, side, side)
        expected = with_hooks(bvlc, crop, index, layer)
        torch.testing.assert_close(torch.from_numpy(found[0]), expected, rtol=1e-3, atol=share * float(expected.max()))


def test_gradcam_whatever_the_caller_had_set(every: Classifier) -> None:
    crops = noise(2, 16)
    expected = gradcam(every, crops, [0, 1], "mix")
    with torch.inference_mode():
        np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    every.model.train().requires_grad_(False)
    np.testing.assert_array_equal(gradcam(every, crops, [0, 1], "mix"), expected)
    assert all(parameter.grad is None for parameter in every.model.parameters())


@pytest.mark.parametrize("name", ["googlenet", "bn_inception", "inception_v3_small", "nin"])
def test_gradcam_before_global_averaging_is_the_class_activation_map(name: str) -> None:
    """Grad-CAM's weights are then the classifier's, divided by the places of the map (arXiv:1610.02391 section 3.1)."""
    net = NETS[name]
    assert [layer for layer in net.head.values() if not isinstance(layer, Dropout)] == [GlobalAverage()]
    last = [name for name, layer in net.body.items() if not isinstance(layer, Dropout)][-1]
    classifier = classifier_of(narrowed(net, 0.1), classes=8)
    (crop,) = noise(1, 96)
    found = gradcam(classifier, [crop] * 8, range(8), last)
    with torch.no_grad():
        maps = classifier.model.forward_features(classifier.prepare([crop]))[0]
        cams = torch.einsum("kc,chw->khw", classifier.model.get_classifier().weight, maps)
    assert min(cams.shape[1:]) > 1
    assert (cams.amax((1, 2)) > 0).sum() >= 2
    expected = cams.clamp(min=0) / cams[0].numel()
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("layer", [None, "mix"])
def test_integrated_gradients_sum_to_the_difference_in_logits(layer: str | None) -> None:
    plain = classifier_of(TINY)
    classifier = Classifier.of(plain.model, Preprocessing(16, 16, mean=(120.0, 110.0, 100.0)), plain.classes)
    mean = np.broadcast_to(np.array([120, 110, 100], np.uint8), (16, 16, 3))
    for index, crop in enumerate(noise(3, 16)):
        found, difference = integrated_gradients(classifier, crop, index, layer)
        logits = classifier.logits([crop, mean])[:, index]
        assert difference == pytest.approx(float(logits[0] - logits[1]), abs=1e-4)
        assert abs(difference) > 0.1
        assert abs(float(found.sum()) - difference) <= TOLERANCE * max(abs(difference), 1)
        assert found.shape == ((14, 14) if layer is None else (8, 8))


def test_integrated_gradients_are_the_mean_gradient_along_the_path(every: Classifier) -> None:
    (crop,) = noise(1, 16)
    found, _ = integrated_gradients(every, crop, 1)
    x = every.prepare([crop])
    steps = 400
    path = ((torch.arange(steps) + 0.5) / steps).view(-1, 1, 1, 1) * x
    (gradient,) = torch.autograd.grad(every.model(path.requires_grad_())[:, 1].sum(), path)
    expected = torch.from_numpy(area_sum((gradient.mean(0) * x[0]).sum(0).numpy(), 14))
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=0.03 * float(expected.abs().max()))


def test_occlusion_is_the_average_fall_of_the_windows_over_a_place(every: Classifier) -> None:
    (crop,) = noise(1, 16)
    found = occlusion(every, crop, 2)
    x = every.prepare([crop])
    falls, counts = torch.zeros(16, 16), torch.zeros(16, 16)
    with torch.inference_mode():
        whole = every.model(x)[0, 2]
        for top in range(15):
            for left in range(15):
                covered = x.clone()
                covered[..., top : top + 2, left : left + 2] = 0
                falls[top : top + 2, left : left + 2] += whole - every.model(covered)[0, 2]
                counts[top : top + 2, left : left + 2] += 1
    torch.testing.assert_close(torch.from_numpy(found), falls / counts, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [None, "conv2"])
def test_the_quarter_that_decides_has_the_maximum(
    colors: Classifier, red_and_green: ImageArray, method: str, layer: str | None
) -> None:
    for label, lower, right in (("red", False, True), ("green", True, False)):
        (found,) = explain(colors, [red_and_green], method=method, layer=layer, target=label)
        y, x = np.unravel_index(found.map.argmax(), found.map.shape)
        height, width = found.map.shape
        assert (y >= height / 2, x >= width / 2) == (lower, right), (label, found.map.shape)
        assert found.peak is not None
        assert (found.peak[0] > 16, found.peak[1] > 16) == (right, lower)


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's; equal values share their rank."""

    def ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
        flat = values.ravel()
        return np.asarray((np.searchsorted(np.sort(flat), flat) + np.searchsorted(np.sort(flat), flat, "right")) / 2)

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


@pytest.mark.parametrize("method", METHODS)
def test_randomised_weights_change_the_map(colors: Classifier, red_and_green: ImageArray, method: str) -> None:
    """The sanity check of arXiv:1810.03292: a map that does not depend on what was learnt says nothing about it."""
    (before,) = explain(colors, [red_and_green], method=method, target="red")
    correlations = []
    for seed in range(6):
        torch.manual_seed(seed)
        fresh = Classifier.of(Model(colors.model.net, 2), colors.preprocessing, colors.classes)
        (after,) = explain(fresh, [red_and_green], method=method, target="red")
        if after.map.std() > 0:  # Grad-CAM may find nothing that speaks for the class
            correlations.append(rank_correlation(before.map, after.map))
    assert len(correlations) >= 3
    assert abs(np.mean(correlations)) < 0.5, correlations


def test_randomised_weights_change_the_maps_of_a_trained_googlenet(bvlc: Classifier, shared: Path) -> None:
    crops = [bvlc.preprocessing.apply(path) for path in sorted((shared / "photos").glob("*.png"))[:8]]
    classes = bvlc.logits(crops).argmax(1).tolist()
    torch.manual_seed(0)
    fresh = Classifier.of(Model(bvlc.model.net, 1000), bvlc.preprocessing, bvlc.classes)
    pairs = zip(gradcam(bvlc, crops, classes), gradcam(fresh, crops, classes), strict=True)
    correlations = [rank_correlation(*pair) for pair in pairs if pair[1].std() > 0]
    assert len(correlations) >= 4
    assert abs(np.mean(correlations)) < 0.4, correlations


@pytest.mark.parametrize("net", NETS.values(), ids=lambda net: net.name)
def test_every_network_has_a_layer_that_tells_places_apart(net: NetworkSpec) -> None:
    chosen = default_layer(net, net.size)
    shape: Shape = (3, net.size, net.size)
    shapes = {}
    for name, layer in net.body.items():
        shape = shapes[name] = as_layer(layer).output_shape(shape)
    assert min(shapes[chosen][1:]) >= 4
    # Nothing behind it is as large and has weights of its own: it is the deepest.
    layers = list(net.body)
    for later in layers[layers.index(chosen) + 1 :]:
        assert min(shapes[later][1:]) < 4 or isinstance(net.body[later], Pool | LRN | Dropout), later


def test_the_layers_are_those_that_one_would_choose() -> None:
    chosen = {
        name: default_layer(NETS[name], NETS[name].size) for name in ("googlenet", "vgg16", "alexnet", "inception_v3")
    }
    assert chosen == {"googlenet": "5b", "vgg16": "conv5", "alexnet": "conv5", "inception_v3": "7c"}
    assert default_layer(NETS["inception_resnet_v2_released"], 299) == "conv7b"
    assert default_layer(NETS["googlenet_small"], 32) == "4e"  # behind it are maps of 2x2
    assert default_layer(NETS["googlenet_small"], 96) == "5b"
    shrinking = NetworkSpec("shrinking", "", "", 6, {"a": Conv(4, 4, 1, "valid"), "b": Conv(4), "c": Conv(4, 3, 1, "valid")}, {"avgpool": GlobalAverage()})  # fmt: skip
    assert default_layer(shrinking, 6) == "b"  # 3x3, 3x3, 1x1: the last of the largest


def test_grids_keep_what_they_sum() -> None:
    fine = np.random.default_rng(0).normal(size=(299, 30)).astype(np.float32)
    coarse = area_sum(fine, 28)
    assert coarse.shape == (28, 28)
    assert float(coarse.sum()) == pytest.approx(float(fine.sum()), abs=1e-3)
    np.testing.assert_array_equal(area_sum(fine[:20, :20], 28), fine[:20, :20])
    np.testing.assert_allclose(area_sum(fine[:28, :28], 14)[0, 1], fine[:2, 2:4].sum(), rtol=1e-5)
    np.testing.assert_allclose(area_mean(np.full((45, 45), 3, np.float32), 16), 3, rtol=1e-6)


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (50, 50), (33, 47), (1000, 20), (20, 1000)])
def test_the_box_is_what_the_crop_shows(size: tuple[int, int]) -> None:
    """A ramp across the image says in the square where its edges lie."""
    width, height = size
    pixels = Preprocessing(24, 28)
    for axis, length in ((1, width), (0, height)):
        ramp = np.linspace(0, 255, length).astype(np.uint8)
        image = np.broadcast_to(ramp if axis else ramp[:, None], (height, width))
        crop = pixels.apply(Image.fromarray(np.ascontiguousarray(image))).astype(float).mean((1 - axis, 2))
        box = pixels.box(width, height)
        start, end = (box[0], box[2]) if axis else (box[1], box[3])
        at = start + (np.arange(24) + 0.5) * (end - start) / 24
        inner = slice(2, -2)  # the filter has less to average at an edge
        np.testing.assert_allclose(crop[inner], ((at - 0.5) * 255 / (length - 1))[inner], atol=4)


def test_the_box_lies_in_the_upright_image(tmp_path: Path, tiny_classifier: Classifier) -> None:
    image = Image.new("RGB", (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    (found,) = explain(tiny_classifier, [tmp_path / "turned.jpg"])
    assert decode(tmp_path / "turned.jpg").image.size == (40, 60)
    assert found.box == (0, 10, 40, 50)


def test_classes_by_name_by_part_of_a_name_and_by_number() -> None:
    classes = ["tench, Tinca tinca", "crane", "crane, lifting", "7", "bee"]
    assert find_class(classes, "tench, Tinca tinca") == 0
    assert find_class(classes, "Tinca tinca") == 0
    assert find_class(classes, "crane") == 1  # a whole name comes first
    assert find_class(classes, "lifting") == 2
    assert find_class(classes, "4") == 4
    assert find_class(classes, "7") == 3
    assert find_class(classes, 2) == 2
    with pytest.raises(BundleError, match=r"no class 'tenchh': did you mean 'tench'\?"):
        find_class(classes, "tenchh")
    with pytest.raises(BundleError, match="no class 9: they are numbered from 0 to 4"):
        find_class(classes, 9)
    with pytest.raises(
        BundleError, match=r"Several classes are called maillot; .*: 0 \(maillot, one\), 1 \(maillot, two\)"
    ):
        find_class(["maillot, one", "maillot, two"], "maillot")
    with pytest.raises(BundleError, match="lists all 100"):
        find_class([f"name {number}" for number in range(100)], "zzz")


def test_what_cannot_be_explained(tiny_classifier: Classifier, tmp_path: Path) -> None:
    (crop,) = noise(1, 16)
    with pytest.raises(InceptorchError, match="no method 'occlude': did you mean 'occlusion'"):
        explain(tiny_classifier, [crop], method="occlude")
    for method in METHODS:
        with pytest.raises(TableError, match="body of tiny has no layer 'mixx': did you mean 'mix'"):
            explain(tiny_classifier, [crop], method=method, layer="mixx")
    with pytest.raises(TableError, match="has no layer 'avgpool'"):  # of the head
        explain(tiny_classifier, [crop], layer="avgpool")
    with pytest.raises(ImageError, match=r"none.png does not exist\."):
        explain(tiny_classifier, [tmp_path / "none.png"])
    flat = classifier_of(
        NetworkSpec("flat", "", "", 16, {"conv": Conv(4, 3), "fc": Linear(5)}, {"dropout": Dropout(0.1)})
    )
    assert explain(flat, [crop])[0].layer == "conv"
    with pytest.raises(TableError, match="a fully connected layer has no map"):
        explain(flat, [crop], layer="fc")
    with torch.no_grad():
        tiny_classifier.model.get_classifier().weight.fill_(float("nan"))
    with pytest.raises(BundleError, match="not finite"):
        explain(tiny_classifier, [crop])


def test_gray_images_and_many_of_them(tiny: NetworkSpec) -> None:
    torch.manual_seed(0)
    classifier = Classifier.of(Model(tiny, 3, in_chans=1), default_preprocessing(16, "gray"), ["a", "b", "c"])
    crops = noise(10, 16)
    for method in METHODS:
        explained = explain(classifier, crops, method=method, top=2)
        assert [len(one.predictions) for one in explained] == [2] * 10
        assert [one.index for one in explained] == [one["index"] for (one,) in classifier.predict(crops, top=1)]
        assert len({one.map.tobytes() for one in explained}) == 10


def test_an_overlay_is_brightest_where_the_map_is_highest() -> None:
    crop = np.full((64, 64, 3), 100, np.uint8)
    crop[0, 0] = (255, 0, 0)
    map = np.array([[0, 0], [0, 7]], np.float32)
    drawn = overlay(crop, map)
    assert (drawn.mode, drawn.size) == ("RGB", (64, 64))
    brightness = np.asarray(drawn.convert("L"), float)
    assert brightness[48:, 48:].mean() > brightness[:16, 16:48].mean() + 60
    np.testing.assert_array_equal(np.asarray(overlay(crop, 10 * map)), np.asarray(drawn))  # scaled to its maximum
    against = overlay(crop, -map)
    np.testing.assert_array_equal(np.asarray(against), np.asarray(overlay(crop, 0 * map)))
    assert len(np.unique(np.asarray(against)[1:].reshape(-1, 3), axis=0)) == 1


def test_a_map_without_anything_for_the_class_is_drawn_too(colors: Classifier, tmp_path: Path) -> None:
    (found,) = explain(colors, [np.full((32, 32, 3), (60, 220, 60), np.uint8)], target="red")
    assert found.map.max() == 0
    assert found.peak is None
    draw(found, tmp_path / "nothing.png")
    with Image.open(tmp_path / "nothing.png") as drawing:
        assert drawing.width > 500


def test_class_names_are_drawn_in_letters_that_some_font_has(
    colors: Classifier, red_and_green: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = explain(colors, [red_and_green])
    found = replace(
        found, label="$x_1 \u1d81"
    )  # which matplotlib's usual font lacks, and another that comes with it has
    monkeypatch.setattr(plots, "WIDE_FONTS", set())
    draw(found, tmp_path / "box.png")
    monkeypatch.setattr(plots, "WIDE_FONTS", {"STIXGeneral"})
    draw(found, tmp_path / "letter.png")
    box, letter = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("box.png", "letter.png"))
    assert (box != letter).any()


# The command line.


@pytest.fixture
def bundle(colors: Classifier, tmp_path: Path) -> Path:
    colors.save(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def photos(red_and_green: ImageArray, tmp_path: Path) -> Path:
    """a/one.png, b/one.png, twice as large and mirrored, and b/text.png, which is none."""
    for folder in ("a", "b"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
    Image.fromarray(red_and_green).resize((64, 64), Image.Resampling.NEAREST).save(
        tmp_path / "photos" / "a" / "one.png"
    )
    Image.fromarray(red_and_green[:, ::-1]).save(tmp_path / "photos" / "b" / "one.png")
    (tmp_path / "photos" / "b" / "text.png").write_text("text")
    return tmp_path / "photos"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def test_explain_json_and_drawings(bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke(
        bundle, photos / "a" / "one.png", photos / "b", photos / "none.png", "--class", "red", "--out", out, "--json"
    )
    assert result.exit_code == 1, result.output
    entries = json.loads(result.stdout)
    assert json.loads((out / "explained.json").read_text()) == entries
    assert [Path(entry["file"]).name for entry in entries] == ["one.png", "one.png", "text.png", "none.png"]
    assert [Path(entry["file"]).name for entry in entries if set(entry) == {"file", "error"}] == [
        "text.png",
        "none.png",
    ]
    first, second = entries[:2]
    assert set(first) == {
        "file", "predictions", "label", "index", "probability", "method", "layer", "size", "map", "maximum", "difference",
        "peak", "box", "drawing",
    }  # fmt: skip
    assert (first["label"], first["index"], first["method"], first["layer"]) == ("red", 0, "gradcam", "conv2")
    assert first["box"] == [0, 0, 64, 64]
    assert (first["peak"][0] > 32, first["peak"][1] > 32) == (True, False)
    assert (second["peak"][0] > 16, second["peak"][1] > 16) == (False, False)
    for entry in (first, second):
        grid = np.array(entry["map"], np.float32)
        assert list(grid.shape) == entry["size"]
        assert grid.max() == np.float32(entry["maximum"]) > 0
        assert sum(one["probability"] for one in entry["predictions"]) == pytest.approx(1)
        with Image.open(entry["drawing"]) as drawing:
            assert drawing.format == "PNG"
            assert drawing.width > 500
    assert [Path(entry["drawing"]).name for entry in entries[:2]] == ["one.gradcam.png", "one.gradcam-2.png"]


@pytest.mark.parametrize("method", METHODS)
def test_what_explain_prints(bundle: Path, photos: Path, tmp_path: Path, method: str) -> None:
    result = invoke(bundle, photos / "a", "--method", method, "--top", 1, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert "one.png: red " in line or "one.png: green " in line
    assert "peak at x " in line
    assert line.endswith(f"one.{method}.png")


def test_a_map_that_is_not_complete_is_said_to_be_so(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (bundle, photos / "a", "--method", "integrated-gradients", "--out", tmp_path / "out")
    assert "read it with care" not in invoke(*words).stderr
    monkeypatch.setattr("inceptorch.explanation.gradients.TOLERANCE", -1.0)
    monkeypatch.setattr("inceptorch.explanation.gradients.STEPS", (1,))
    result = invoke(*words)
    assert result.exit_code == 0
    assert "one.png: the map sums to " in result.stderr
    assert "read it with care" in result.stderr


def test_drawings_are_not_explained_the_next_time(bundle: Path, photos: Path) -> None:
    for _ in range(2):
        assert invoke(bundle, photos / "a", "--out", photos / "a" / "explained").exit_code == 0
    assert len(json.loads((photos / "a" / "explained" / "explained.json").read_text())) == 1


def test_mistakes_are_one_sentence_and_leave_nothing(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        words = ("explain", bundle, photos / "a", "--out", tmp_path / "out", *words)
        return sentence(*words, monkeypatch=monkeypatch, capsys=capsys)

    assert "There is no class 'redd': did you mean 'red'?" in said("--class", "redd")
    assert "no layer 'conv3': did you mean 'conv" in said("--layer", "conv3")
    assert "There is no method 'grad-cam': did you mean 'gradcam'?" in said("--method", "grad-cam")
    assert not (tmp_path / "out").exists()
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "captum", None)
        advice = said("--method", "occlusion")
        assert "this needs captum" in advice
        assert advice.endswith("not installed; install it with: pip install 'inceptorch[explain]'")
    (tmp_path / "out").write_text("a file")
    assert "could not be created" in said()


def test_photographs_are_explained_where_their_answer_is(bvlc: Classifier, shared: Path) -> None:
    """A beetle that fills the middle of its photograph: all three methods look there and not at the rim."""
    with open(shared / "photos" / "labels.csv", newline="") as file:
        labels = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    photo = "0c7ac4a8c9dfa802.png"
    (found,) = explain(bvlc, [shared / "photos" / photo])
    assert found.layer == "5b"
    assert "beetle" in found.label
    assert labels[photo] in [one["index"] for one in found.predictions]
    assert found.map[2:5, 2:5].mean() > 2 * found.map.mean()
