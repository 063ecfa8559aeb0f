"""Images for channels, directions and classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, InceptorchError
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from inceptorch.visualization import visualize as module
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import channel, diversity, logit
from inceptorch.visualization.visualize import Visualization, VisualizeSettings, run, visualize
from tests.helpers import classifier_of
from tests.visualization.helpers import SIZE, colors_network


@pytest.fixture
def colors() -> Classifier:
    return colors_network()


def means(visualization: Visualization) -> list[float]:
    """The mean red, green and blue of the first image."""
    found: list[float] = visualization.images[0].mean((0, 1)).tolist()
    return found


def test_a_channel_shows_its_color_and_the_other_side_the_opposite(colors: Classifier) -> None:
    (red,) = visualize(colors, "1:0", steps=24, lr=0.5, negative=True)
    assert red.label == "1:0"
    assert red.images.shape == red.opposite.shape == (1, SIZE, SIZE, 3)
    assert means(red)[0] > max(means(red)[1:]) + 40
    assert red.opposite[0].mean((0, 1))[0] < red.opposite[0].mean((0, 1))[1:].min() - 40
    assert red.values[0] > red.started[0] > red.opposite_values[0]
    assert red.opposite_values[0] < 0  # before ReLU
    assert red.raised


def test_classes_sums_and_objectives(colors: Classifier) -> None:
    by_class, by_name, by_function, mixed = (
        visualize(colors, *words, steps=16, lr=0.5, **options)[0]  # type: ignore[arg-type]
        for words, options in (
            ((), {"target": "green"}),
            (("logits:1",), {}),
            ((logit(1),), {}),
            ((2 * channel("1", 2) - channel("0", 0),), {}),
        )
    )
    assert by_class.label == by_name.label == "green"
    assert np.array_equal(by_class.images, by_function.images)
    red, green, blue = means(by_class)
    assert green > max(red, blue) + 20
    red, green, blue = means(mixed)
    assert blue > green > red


def test_one_place_is_raised_alone(colors: Classifier) -> None:
    (corner,) = visualize(colors, f"1:0@{SIZE // 4},{SIZE // 4}", steps=24, lr=0.5)
    image = corner.images[0].astype(float)
    redness = image[..., 0] - image[..., 1:].mean(2)
    half = SIZE // 2
    assert redness[:half, :half].mean() > redness[half:, half:].mean() + 20


def test_a_direction_is_a_mixture_of_channels(colors: Classifier, tmp_path: object) -> None:
    file = f"{tmp_path}/direction.npy"
    np.save(file, np.array([1.0, 1.0, -1.0, 0.0]))
    (yellow,) = visualize(colors, "0", direction=file, steps=24, lr=0.5)
    red, green, blue = means(yellow)
    assert min(red, green) > blue + 20


def test_a_sheet_is_in_batches_and_repeats(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = list(tiny.model.net.body)[2]
    monkeypatch.setattr(module, "BATCH_PIXELS", 2 * 32**2)
    first, again = (visualize(tiny, layer, channels=[3, 0, 5], steps=2) for _ in range(2))
    assert [each.label for each in first] == [f"{layer}:{number}" for number in (3, 0, 5)]
    assert all(np.array_equal(a.images, b.images) for a, b in zip(first, again, strict=True))
    other = visualize(tiny, layer, channels=[3], steps=2, seed=1)
    assert not np.array_equal(first[0].images, other[0].images)


def test_diverse_images_are_less_alike(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than those that differ by their noise alone, to the layer before."""
    names = list(tiny.model.net.body)
    maps = Maps(tiny, [names[1]])

    def alike(weight: float) -> float:
        monkeypatch.setattr(module, "DIVERSITY", weight)
        (several,) = visualize(tiny, f"{names[2]}:1", diversity=2, steps=16)
        assert several.images.shape == (2, 32, 32, 3)
        assert len(several.values) == 2
        images = torch.from_numpy(several.images).permute(0, 3, 1, 2) / 255
        return -float(diversity(names[1]).value(maps(images)).mean())

    assert alike(5.0) < alike(0.0)


def test_gray_networks_have_gray_images() -> None:
    gray = classifier_of(get_network("googlenet_tiny"), classes=3, channels="gray")
    (one,) = visualize(gray, target=1, steps=3)
    assert np.array_equal(one.images[..., 0], one.images[..., 2])


def test_a_dead_channel_is_named(colors: Classifier, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(colors, VisualizeSettings("1:3", steps=3), Progress())
    assert not found.visualizations[0].raised
    assert "1:3 was not raised by any step" in capsys.readouterr().err


def test_defaults_depend_on_the_number_of_images(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 2)
    monkeypatch.setattr(module, "SHEET_STEPS", 1)
    monkeypatch.setattr(module, "SHEET_SIZE", 24)
    layer = list(tiny.model.net.body)[2]

    def used(*words: object, **options: object) -> tuple[int | None, int | None]:
        settings = run(tiny, VisualizeSettings(*words, **options), Progress(quiet=True)).settings  # type: ignore[arg-type]
        return settings.size, settings.steps

    assert used(f"{layer}:0") == (32, 2)
    assert used(layer) == used(f"{layer}:0", negative=True) == (24, 1)
    assert used(layer, size=28, steps=3) == (28, 3)
    assert used(f"{layer}:0@15,15", diversity=2) == (32, 1)  # a place that smaller images do not have


def test_ctrl_c_keeps_the_images_so_far(colors: Classifier) -> None:
    told = []

    def on_images(visualizations: list[Visualization]) -> None:
        told.append(visualizations)
        raise KeyboardInterrupt

    settings = VisualizeSettings("1", channels=(0, 1), steps=9)
    found = run(colors, settings, Progress(quiet=True), on_images=on_images, every=4)
    assert found.interrupted
    assert found.steps == 4
    assert len(found.visualizations) == len(told[0]) == 2
    assert found.visualizations[0].images.shape == (1, SIZE, SIZE, 3)


def test_networks_with_poor_images_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for name, poor in (("inception_v3", True), ("googlenet_tiny", False)):
        network = classifier_of(replace(get_network("googlenet_tiny"), name=name), classes=2)
        run(network, VisualizeSettings("conv1:1", steps=1), Progress())
        assert ("Inception-v3 gives poor images" in capsys.readouterr().err) == poor


def test_wrong_settings_are_named(colors: Classifier) -> None:
    with pytest.raises(InceptorchError, match="lr is nan"):
        VisualizeSettings(lr=float("nan"))
    with pytest.raises(InceptorchError, match="steps is 0"):
        VisualizeSettings(steps=0)
    with pytest.raises(BundleError, match="There is no class 'gren': did you mean 'green'"):
        visualize(colors, target="gren")


def test_views_are_as_large_as_the_images_and_differ() -> None:
    images, generator = torch.rand(2, 3, 32, 48), torch.Generator().manual_seed(0)
    first, second = (module._view(images, generator) for _ in range(2))
    assert first.shape == second.shape == images.shape
    assert not torch.equal(first, second)
