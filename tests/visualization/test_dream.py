"""Dreams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, ImageError, InceptorchError, TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from inceptorch.visualization import dream as module
from inceptorch.visualization.dream import Dream, DreamSettings, default_layer, dream
from inceptorch.visualization.tiles import tiled
from tests.helpers import classifier_of, detector

T = TypeVar("T")
Pixels = NDArray[np.uint8]


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Pixels:
    """Blurred noise in color, whose values keep off 0 and 255."""
    random = np.random.default_rng(seed).integers(60, 196, (8, 12, 3), np.uint8)
    return np.array(Image.fromarray(random).resize((width, height), Image.Resampling.BICUBIC))


def few(**values: Any) -> dict[str, Any]:
    return {"layer": "3b", "octaves": 2, "steps": 3, "jitter": 4} | values


class Stopped(Progress):
    """Hears Ctrl-C after some steps."""

    def __init__(self, steps: int):
        super().__init__(quiet=True)
        self.steps = steps

    def track(self, items: Iterable[T], *words: Any, **named: Any) -> Iterator[T]:
        for number, item in enumerate(items):
            if number == self.steps:
                raise KeyboardInterrupt
            yield item


def test_the_energy_grows_in_every_octave_and_the_image_stays_recognizable(tiny: Classifier) -> None:
    image = photo()
    made = dream(image, model=tiny, **few(octaves=3, steps=6))
    (octaves,) = made.octaves
    assert [(octave.width, octave.height) for octave in octaves] == [(49, 33), (69, 46), (96, 64)]
    for octave in octaves:
        assert len(octave.energy) == 6
        assert octave.energy[-1] > octave.energy[0] > 0
    assert made.image.shape == image.shape
    assert not np.array_equal(made.image, image)

    def coarse(pixels: Pixels) -> NDArray[np.float64]:
        means: NDArray[np.float64] = pixels.reshape(4, 16, 6, 16, 3).mean((1, 3))
        return means

    assert np.corrcoef(coarse(made.image).ravel(), coarse(image).ravel())[0, 1] > 0.9


def test_a_step_changes_pixels_by_its_size_on_average(tiny: Classifier) -> None:
    image = photo()
    made = dream(image, model=tiny, **few(octaves=1, steps=1, step_size=4.0))
    change = np.abs(made.image.astype(float) - image)
    assert change.mean() == pytest.approx(4, rel=0.1)


def test_the_same_seed_gives_the_same_pixels(tiny: Classifier) -> None:
    first, again, other = (dream(photo(), model=tiny, **few(seed=seed)).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    state = torch.get_rng_state()
    dream(photo(), model=tiny, **few())
    assert torch.equal(torch.get_rng_state(), state)  # the caller's own random numbers go on as they were


def test_only_chosen_channels_grow(tiny: Classifier) -> None:
    chosen = dream(photo(), model=tiny, **few(channels=[3, 5]))
    assert chosen.octaves[0][-1].energy[-1] > chosen.octaves[0][-1].energy[0]
    assert not np.array_equal(chosen.image, dream(photo(), model=tiny, **few()).image)
    with pytest.raises(TableError, match=r"Cannot see channel 240 of layer 3b: it has 240 channels\. Try 0 to 239\."):
        dream(photo(), model=tiny, **few(channels=[0, 240]))


def test_a_guide_draws_the_maps_toward_its_own(tiny: Classifier) -> None:
    image, guide = photo(), photo(40, 30, seed=1)
    made = dream(image, model=tiny, **few(), guide=guide)
    energy = made.octaves[0][-1].energy
    assert energy[-1] > energy[0]
    other = dream(image, model=tiny, **few(), guide=photo(40, 30, seed=2))
    assert not np.array_equal(made.image, other.image)
    assert dream(image, model=tiny, **few(layer=None, steps=1), guide=guide).settings.layer == "3b"
    assert dream(image, model=tiny, **few(layer=None, steps=1)).settings.layer == "4c"


def test_the_nearest_place_of_a_guide_has_the_largest_dot_product(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    places, guide = torch.randn(5, 11), torch.randn(5, 7)
    expected = torch.stack([guide[:, (place @ guide).argmax()] for place in places.T], 1)
    for products in (1 << 23, 14):  # all at once, and two places at a time
        monkeypatch.setattr(module, "MAX_PRODUCTS", products)
        assert torch.equal(module._nearest(places, guide), expected)


def test_strength_and_colors(tiny: Classifier) -> None:
    image = photo().astype(float)
    whole = dream(photo(), model=tiny, **few()).image - image
    half = dream(photo(), model=tiny, **few(strength=0.5)).image - image
    np.testing.assert_allclose(half, whole / 2, atol=1)
    gray = dream(photo(), model=tiny, **few(keep_colors=True)).image - image
    np.testing.assert_allclose(gray, np.broadcast_to(gray[..., :1], gray.shape), atol=1)  # all channels alike
    np.testing.assert_allclose(gray[..., 0], whole @ [0.299, 0.587, 0.114], atol=1.1)


def test_images_of_every_kind(tiny: Classifier, tmp_path: Path) -> None:
    turned = Image.fromarray(photo())
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert dream(tmp_path / "turned.jpg", model=tiny, **few(steps=1)).image.shape == (96, 64, 3)
    assert dream(photo()[..., 0], model=tiny, **few(steps=1)).image.shape == (64, 96, 3)
    assert dream(photo(77, 51), model=tiny, **few(steps=1)).image.shape == (51, 77, 3)

    alpha = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None], 64, 0)
    Image.fromarray(np.dstack([photo(), alpha])).save(tmp_path / "clear.png")
    clear = dream(tmp_path / "clear.png", model=tiny, **few(steps=1)).image
    assert clear.shape == (64, 96, 4)
    np.testing.assert_array_equal(clear[..., 3], alpha)
    assert dream(tmp_path / "clear.png", model=tiny, **few(steps=1, size=48)).image.shape == (32, 48, 4)


def test_the_size_is_the_images_own_up_to_a_limit(tiny: Classifier, capsys: pytest.CaptureFixture[str]) -> None:
    settings = few(octaves=1, steps=1, layer="3a")
    made = dream(photo(1100, 40), model=tiny, **settings, progress=Progress())
    assert made.image.shape == (37, 1024, 3)
    assert made.settings.size == 1024
    assert capsys.readouterr().err == "dreaming at 1024x37 pixels, not 1100x40; --size takes others\n"
    settings = few(octaves=1, steps=1, layer="3a", size=1100)
    assert dream(photo(1100, 40), model=tiny, **settings).image.shape == (40, 1100, 3)
    assert dream(photo(), model=tiny, **few(steps=1, size=120)).image.shape == (80, 120, 3)
    with pytest.raises(InceptorchError, match=r"Cannot dream of 16000x10667 pixels: that is more than 50 million"):
        dream(photo(), model=tiny, **few(size=16_000))


def test_octaves_too_small_for_the_layer_are_left_out(tiny: Classifier) -> None:
    made = dream(photo(20, 20), model=tiny, **few(octaves=9, steps=1))
    assert [octave.width for octave in made.octaves[0]] == [10, 14, 20]
    with pytest.raises(
        TableError,
        match=r"Cannot dream of layer 4c in an image of 8x8 pixels: its map would have fewer than 4x4 places",
    ):
        dream(photo(8, 8), model=tiny, **few(layer="4c"))
    large = classifier_of(get_network("googlenet"), classes=2)
    with pytest.raises(TableError, match=r"fewer than 4x4 places\. Try a larger --size"):
        dream(photo(8, 8), model=large)


def test_what_cannot_be_dreamed_of(tiny: Classifier, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="Cannot see layer '4z'"):
        dream(photo(300, 300), model=tiny, **few(layer="4z"))
    with pytest.raises(TableError, match="Cannot dream of the logits: they have no map"):
        dream(photo(), model=tiny, **few(layer="logits"))
    with pytest.raises(ImageError, match=r"none.png does not exist\."):
        dream(tmp_path / "none.png", model=tiny)
    with pytest.raises(BundleError):
        dream(photo(), model=tmp_path / "none")
    for name, value in (("octaves", 0), ("step_size", float("nan")), ("octave_scale", 1), ("channels", [-1])):
        with pytest.raises(InceptorchError, match=name):
            DreamSettings(**{name: value})  # type: ignore[arg-type]
    with torch.no_grad():
        broken = classifier_of(get_network("googlenet_tiny"), classes=2)
        next(broken.model.parameters()).fill_(float("nan"))
    with pytest.raises(BundleError, match="not finite"):
        dream(photo(), model=broken, **few())


@pytest.mark.parametrize("steps", [0, 2, 4])
def test_ctrl_c_leaves_the_image_so_far_in_full_size(tiny: Classifier, steps: int) -> None:
    made = dream(photo(), model=tiny, **few(), progress=Stopped(steps))
    assert made.interrupted
    assert made.image.shape == (64, 96, 3)
    assert sum(len(octave.energy) for octave in made.octaves[0]) == steps
    assert np.array_equal(made.image, photo()) == (steps == 0)


def test_each_frame_of_a_film_is_the_one_before_enlarged(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dream(photo(), model=tiny, **few(zoom=3, steps=1, step_size=0.01))  # next to no change
    assert [frame.shape for frame in made.frames] == [(64, 96, 3)] * 3
    assert made.image is made.frames[-1]
    box = (96 * 0.025, 64 * 0.025, 96 * 0.975, 64 * 0.975)
    enlarged = Image.fromarray(made.frames[0]).resize((96, 64), Image.Resampling.BICUBIC, box=box)
    np.testing.assert_allclose(made.frames[1].astype(float), np.asarray(enlarged), atol=2)
    stopped = dream(photo(), model=tiny, **few(zoom=9, steps=1), progress=Stopped(5))
    assert (len(stopped.frames), stopped.interrupted) == (3, True)
    monkeypatch.setattr(module, "MAX_FILM", 50_000)
    with pytest.raises(InceptorchError, match=r"Cannot keep 9 frames of 96x64 pixels in memory\. Try at most 8 frames"):
        dream(photo(), model=tiny, **few(zoom=9))


def test_tiles_leave_no_seam(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a layer that sees little the tiled dream is the untiled one."""
    settings = few(layer="3a", octaves=1, steps=2)
    whole = dream(photo(200, 130), model=tiny, **settings)
    calls: list[int] = []

    def small(gradient: Callable[..., Any], image: torch.Tensor) -> Any:
        calls.append(1)
        return tiled(gradient, image, 96, 64, whole=0)

    monkeypatch.setattr(module, "tiled", small)
    parts = dream(photo(200, 130), model=tiny, **settings)
    assert len(calls) == 2
    np.testing.assert_allclose(parts.image.astype(float), whole.image, atol=1)


@pytest.mark.parametrize(("name", "layer", "guided"), [("googlenet", "4c", "3b"), ("inception_v3_small", "6e", "6b")])
def test_the_layer_by_default_lies_at_a_depth(name: str, layer: str, guided: str) -> None:
    net = get_network(name)
    found = Classifier.of(Model(net, 2, initialize=False), default_preprocessing(net.size), ["a", "b"])
    assert default_layer(found, module.DEPTH) == layer
    assert default_layer(found, module.GUIDE_DEPTH) == guided


def test_networks_of_other_kinds(tiny: Classifier) -> None:
    gray = classifier_of(get_network("googlenet_tiny"), classes=2, channels="gray")
    assert _grows(dream(photo(), model=gray, **few()))
    found = detector()
    assert _grows(dream(photo(), model=found, octaves=1, steps=3))
    torch.manual_seed(0)
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    custom = Classifier.of(own, default_preprocessing(8), list("abcd"))  # type: ignore[arg-type]
    assert _grows(dream(photo(), model=custom, **few(layer="0")))
    with pytest.raises(TableError, match=r"Cannot dream of layer 3: it has no map"):
        dream(photo(), model=custom, **few(layer="3"))
    with pytest.raises(TableError, match="fewer than 4x4 places"):
        dream(photo(2, 2), model=custom, **few(layer="0"))
    with pytest.raises(TableError, match=r"Cannot choose a layer of a network of your own\. Try --layer"):
        dream(photo(), model=custom)


def test_silent_channels_are_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    conv = nn.Conv2d(3, 4, 3)
    nn.init.constant_(conv.bias, -1e4)  # type: ignore[arg-type]
    own = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    custom = Classifier.of(own, default_preprocessing(8), list("abcd"))  # type: ignore[arg-type]
    made = dream(photo(), model=custom, **few(layer="1", channels=(0,)), progress=Progress())
    np.testing.assert_array_equal(made.image, photo())
    assert capsys.readouterr().err.startswith("the chosen channels are 0 everywhere in this image")


def _grows(made: Dream) -> bool:
    return all(octave.energy[-1] > octave.energy[0] for octave in made.octaves[0])
