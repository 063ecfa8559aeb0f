"""Style transfer."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, ImageError, InceptorchError, TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import GlobalAverage
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from inceptorch.visualization import style as module
from inceptorch.visualization.style import (
    LAYERS,
    StyledImage,
    StyleSettings,
    default_model,
    run,
    scales,
    style,
    style_layers,
)
from tests.helpers import classifier_of, detector
from tests.visualization.images import Pixels, stripes, waves


def made(tiny: Classifier, content: Any, styles: Any, **values: Any) -> StyledImage:
    return style(content, styles, model=tiny, **{"size": 40, "steps": 3, **values})


def test_the_result_has_the_size_asked_for_and_comes_closer_to_the_style(tiny: Classifier) -> None:
    result = made(tiny, waves(64, 80), stripes(), steps=8, strength=10)
    assert result.image.shape == (32, 40, 3)
    assert result.image.dtype == np.uint8
    assert not result.interrupted
    assert result.sizes == [40] * 8
    assert list(result.losses) == ["content 3b", "style conv2", "style 3a", "style 4a", "style 4b", "style 4c"]
    assert result.losses["content 3b"][0] < 0.05  # it begins with the content
    of_style = np.array([result.losses[f"style {layer}"] for layer in LAYERS["googlenet"].style])
    np.testing.assert_allclose(of_style[:, 0], 1, atol=0.2)  # of another view of the content
    assert of_style[:, -1].mean() < 0.9


def test_a_stronger_style_is_followed_further(tiny: Classifier) -> None:
    weak, strong = (made(tiny, waves(32, 40), stripes(), steps=6, strength=value) for value in (0.01, 10))
    assert strong.losses["style 4a"][-1] < weak.losses["style 4a"][-1]
    assert strong.losses["content 3b"][-1] > weak.losses["content 3b"][-1]


def test_a_seed_gives_the_same_pixels(tiny: Classifier) -> None:
    first, again, other = (made(tiny, waves(32, 40), stripes(), seed=seed).image for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_larger_images_begin_small(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [scales(size) for size in (64, 383, 384, 512, 1000)] == [
        [64],
        [383],
        [192, 384],
        [256, 512],
        [250, 500, 1000],
    ]
    monkeypatch.setattr(module, "SMALLEST", 32)
    result = made(tiny, waves(40, 40), stripes(), size=64, steps=2)
    assert result.sizes == [32, 32, 64, 64]
    assert result.image.shape == (64, 64, 3)
    content = result.losses["content 3b"]
    assert 100 * content[0] < 1e-6 < content[2]  # what the first scale found is refined


def test_styles_are_weighted(tiny: Classifier) -> None:
    content, other = waves(32, 40), waves(40, 32)[::-1].copy()
    alone = made(tiny, content, stripes()).losses
    twice = made(tiny, content, [stripes(), stripes()], style_weights=(1, 3)).losses
    assert twice["style 4c"] == pytest.approx(alone["style 4c"], rel=1e-3)
    mostly = made(tiny, content, [stripes(), other], style_weights=(1e6, 1)).losses
    assert mostly["style 4c"] == pytest.approx(alone["style 4c"], rel=1e-2)
    evenly = made(tiny, content, [stripes(), other]).losses
    assert evenly["style 4c"] != pytest.approx(alone["style 4c"], rel=1e-2)


def test_the_content_keeps_its_colors(tiny: Classifier) -> None:
    def chroma(image: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(image).convert("YCbCr"))[..., 1:].astype(float)

    content = (waves(32, 40) // 2 + 64).astype(np.uint8)  # so that no color is clipped
    kept, changed = (made(tiny, content, stripes(), keep_colors=keep).image for keep in (True, False))
    assert np.abs(chroma(kept) - chroma(content)).max() <= 2
    assert np.abs(chroma(changed) - chroma(content)).max() > 4


def test_images_of_every_kind(tiny: Classifier) -> None:
    """A transparent content stays so; gray and transparent styles, and files turned by EXIF."""
    content = np.dstack([waves(32, 40), np.full((32, 40), 255, np.uint8)])
    content[:, :20, 3] = 0
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(content).save(turned, "PNG", exif=exif)
    gray = stripes()[..., 1]
    result = made(tiny, turned.getvalue(), [gray, content], steps=1)
    assert result.image.shape == (40, 32, 4)
    assert result.image[:16, :, 3].max() == 0
    assert result.image[24:, :, 3].min() == 255
    opaque = np.dstack([waves(32, 40), np.full((32, 40), 255, np.uint8)])
    assert made(tiny, opaque, gray, steps=1).image.shape == (32, 40, 3)


def test_an_image_may_be_its_own_style(tiny: Classifier) -> None:
    image = waves(32, 40)
    result = made(tiny, image, image)
    assert np.abs(result.image.astype(float) - image).mean() < 16


def test_a_gray_network_gives_a_gray_image() -> None:
    gray = classifier_of(get_network("googlenet_tiny"), classes=3, channels="gray")
    image = made(gray, waves(32, 40), stripes(), steps=1).image
    assert np.array_equal(image[..., 0], image[..., 2])


def test_progress_images_have_the_size_of_the_result(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST", 32)
    seen: list[StyledImage] = []
    settings = StyleSettings(size=64, steps=3)
    run(waves(40, 40), [stripes()], tiny, settings, Progress(quiet=True), every=2, on_image=seen.append)
    assert [len(each.sizes) for each in seen] == [2, 4, 6]
    assert {each.image.shape for each in seen} == {(64, 64, 3)}


def test_ctrl_c_keeps_the_image_so_far(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST", 32)

    def stop(image: StyledImage) -> None:
        raise KeyboardInterrupt

    settings = StyleSettings(size=64, steps=3)
    result = run(waves(40, 40), [stripes()], tiny, settings, Progress(quiet=True), every=2, on_image=stop)
    assert result.interrupted
    assert result.sizes == [32, 32]
    assert result.image.shape == (64, 64, 3)


def test_layers_of_networks(tiny: Classifier) -> None:
    vgg = replace(get_network("vgg16"), head={"average": GlobalAverage()})
    with torch.device("meta"):
        model = Model(vgg, 3, initialize=False)
    classifier = Classifier.of(model, default_preprocessing(64), list("abc"))
    assert style_layers(classifier) == style_layers(classifier, "vgg16") == LAYERS["vgg16"]
    assert style_layers(tiny) == style_layers(tiny, "googlenet") == LAYERS["googlenet"]
    assert style_layers(classifier_of(get_network("nin"), size=64)).content in get_network("nin").body
    assert made(detector(), waves(32, 40), stripes(), steps=1).image.shape == (32, 40, 3)
    with pytest.raises(TableError, match=r"Cannot use the model as vgg16: it is googlenet_tiny\. "):
        style_layers(tiny, "vgg16")
    with pytest.raises(InceptorchError, match="Cannot use the network 'vgg19': did you mean 'vgg16'"):
        style_layers(tiny, "vgg19")
    custom = Classifier.of(torch.nn.Flatten(), default_preprocessing(8), ["a"])  # type: ignore[arg-type]
    with pytest.raises(TableError, match="its stages are not known"):
        style_layers(custom)
    assert default_model(None) == "googlenet.bvlc"
    with pytest.raises(BundleError, match="Cannot find weights of vgg16: none are listed as published"):
        default_model("vgg16")


def test_mistakes_are_sentences(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="has 8x8 pixels; style transfer needs 32 on its shorter side"):
        made(tiny, waves(8, 8), stripes())
    with pytest.raises(ImageError, match="has 64x8 pixels"):
        made(tiny, waves(32, 40), stripes(8))
    with pytest.raises(InceptorchError, match=r"Cannot weight 1 styles with 2 weights: .* Try --weights 1\."):
        made(tiny, waves(32, 40), stripes(), style_weights=(1, 2))
    with pytest.raises(InceptorchError, match="Cannot transfer 0 styles"):
        made(tiny, waves(32, 40), [])
    with pytest.raises(InceptorchError, match="an image of 400x40 would begin with 40x4 pixels"):
        made(tiny, waves(40, 400), stripes())
    with pytest.raises(InceptorchError, match="an image of 400x40 would begin with 40x4 pixels"):
        made(tiny, waves(32, 40), stripes(40, 400))
    for values in ({"size": 31}, {"steps": 0}, {"strength": float("nan")}, {"style_weights": (0, 1)}, {"seed": -1}):
        with pytest.raises(InceptorchError, match=f"{next(iter(values))} is .*; it must be "):
            StyleSettings(**values)
    monkeypatch.setattr(module, "physical_memory", lambda: 2_000_000_000)
    with pytest.raises(
        InceptorchError, match=r"at 8000x6400 pixels: it takes about \d+ GB of memory, and this .* 2 GB"
    ):
        made(tiny, waves(32, 40), stripes(), size=8000)
