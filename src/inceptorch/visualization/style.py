"""Style transfer: an image with the layout of one and the textures and colors of others.

The objective is that of arXiv:1508.06576: maps for the content, Gram matrices of maps for the style. What makes it work
with GoogLeNet, whose strided layers draw a grid otherwise, is of tensorflow/lucid: the image as frequencies in
decorrelated colors, and another view of it in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, ImageError, InceptorchError, TableError, did_you_mean
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import is_one_image, load_image_and_alpha
from inceptorch.utils.cpu import physical_memory
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import PositiveFloat, check_fields
from inceptorch.visualization.default_model import DEFAULT_MODEL, open_classifier, remark_on_inception_v3
from inceptorch.visualization.fourier import FourierImage
from inceptorch.visualization.maps import Maps, layer_names
from inceptorch.visualization.objectives import gram
from inceptorch.visualization.optimize import optimize
from inceptorch.visualization.pixels import fitting, to_tensor, to_uint8


@dataclass(frozen=True)
class StyleLayers:
    """The layers of a network whose maps are content and whose Gram matrices are style.

    memory   bytes for each pixel of the image, as measured
    """

    content: str
    style: tuple[str, ...]
    memory: int = 4200


# By network, with the published weights that are the default for it.
LAYERS = {
    "googlenet": StyleLayers("3b", ("conv2", "3a", "4a", "4b", "4c"), memory=1700),  # as tensorflow/lucid
    # As arXiv:1508.06576: conv4_2, and the first layer at each resolution.
    "vgg16": StyleLayers("conv4.1", ("conv1.0", "conv2.0", "conv3.0", "conv4.0", "conv5.0")),
}
WEIGHTS = {"googlenet": DEFAULT_MODEL}
STYLE_WEIGHT = 5.0  # of style against content at strength 1
STYLE_SCALE = 1.2  # a style's long side over the image's
SMALLEST = 192  # pixels; the long side at the first scale is not below
MIN_SIDE = 32  # of an image's sides, in pixels
MAX_STYLES = 16
JITTER, VIEWS = 16, 16  # pixels that a view is moved by at most: the stride of the deepest layers; views at each scale
FLOOR = 0.01  # of a style's Gram matrices: a start that is closer to them counts as so far
MEMORY = 0.8e9  # bytes of the process beside that


@dataclass(frozen=True)
class StyleSettings:
    """The arguments of `style` that its PNG holds; see there."""

    net: str | None = None
    strength: PositiveFloat = 1.0
    style_weights: Annotated[
        tuple[PositiveFloat, ...],
        Meta(max_length=MAX_STYLES, description="numbers above 0, at most one for each style"),
    ] = ()
    keep_colors: bool = False
    size: Annotated[int, Meta(ge=MIN_SIDE, le=8192)] = 512
    steps: Annotated[int, Meta(ge=1, le=10_000)] = 150
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)


@dataclass(frozen=True, eq=False)
class StyledImage:
    """An image in another style.

    image        uint8 [H, W, 3], or [H, W, 4] if the content is transparent somewhere
    losses       by step, of "content LAYER" and "style LAYER". Of style 1 is the content image's distance to the style;
                 of content 1 is as far as from the content to nothing. Distances are squared.
    sizes        the long side in pixels at each step
    interrupted  ended by Ctrl-C, with the image so far
    """

    image: NDArray[np.uint8]
    losses: dict[str, list[float]]
    sizes: list[int]
    interrupted: bool = False


def style(
    content: ImageInput,
    styles: ImageInput | Iterable[ImageInput],
    *,
    model: Classifier | str | Path | None = None,
    net: str | None = None,
    strength: float = 1.0,
    style_weights: Sequence[float] = (),
    keep_colors: bool = False,
    size: int = 512,
    steps: int = 150,
    seed: int = 0,
    progress: Progress | None = None,
) -> StyledImage:
    """An image with the layout of `content` and the style of one or several others. Ctrl-C ends it with the image so
    far. Images are what `Classifier.predict` takes.

    model          a classifier, a bundle, a run, or published weights by name; by default those of `net`
    net            "googlenet" or "vgg16", whose layers are used; by default what the model is
    strength       of the styles against the content; twice as strong is 2
    style_weights  of the styles among each other, one for each; by default alike
    keep_colors    only the brightness changes
    size           longer side of the result, in pixels
    steps          at each scale; scales double up to `size`
    seed           of the views

    Raises ImageError for an image that cannot be read or is too small, BundleError for a model that is not at hand,
    TableError if images are too small for its layers, and InceptorchError for settings that do not fit the images, or
    the memory.
    """
    settings = StyleSettings(net, strength, tuple(style_weights), keep_colors, size, steps, seed)
    sources: list[ImageInput] = [styles] if is_one_image(styles) else list(styles)  # type: ignore
    classifier = open_classifier(model or default_model(net))
    return run(content, sources, classifier, settings, progress or Progress(quiet=True))


def run(
    content: ImageInput,
    styles: Sequence[ImageInput],
    classifier: Classifier,
    settings: StyleSettings,
    progress: Progress,
    *,
    every: int = 0,
    on_image: Callable[[StyledImage], object] | None = None,
) -> StyledImage:
    """As `style`; `on_image` is called with the image so far after each `every` steps."""
    weights = _weights(settings, len(styles))
    pixels, alpha = _loaded(content)
    examples = [_loaded(each)[0] for each in styles]
    remark_on_inception_v3(classifier, progress)
    layers = style_layers(classifier, settings.net)
    _check_shape(pixels, settings.size, MIN_SIDE)
    for image in examples:
        _check_shape(image, settings.size, MIN_SIDE // 2)
    _check_memory(pixels, settings.size, layers)
    maps = Maps(classifier, [*layers.style, layers.content])
    work = _Transfer(settings, pixels, alpha, examples, weights, maps, layers, every, on_image)
    return work.run(progress)


def _loaded(source: ImageInput) -> tuple[Image.Image, Image.Image | None]:
    image, alpha = load_image_and_alpha(source)
    if min(image.size) < MIN_SIDE:
        path = source if isinstance(source, str | Path) else None
        raise ImageError(
            path, f"has {image.width}x{image.height} pixels; style transfer needs {MIN_SIDE} on its shorter side"
        )
    return image, alpha


def _weights(settings: StyleSettings, count: int) -> list[float]:
    """The fraction of each of `count` styles."""
    if not 1 <= count <= MAX_STYLES:
        raise InceptorchError(f"Cannot transfer {count} styles: at most {MAX_STYLES} are combined. Try 1.")
    weights = settings.style_weights or (1.0,) * count
    if len(weights) != count:
        raise InceptorchError(
            f"Cannot weight {count} styles with {len(weights)} weights: each needs one. Try --weights "
            f"{','.join('1' * count)}."
        )
    return [weight / sum(weights) for weight in weights]


def _check_shape(image: Image.Image, size: int, least: int) -> None:
    """Raise InceptorchError for an image whose short side has less than `least` pixels at the first scale."""
    width, height = fitting(*image.size, scales(size)[0])
    if min(width, height) < least:
        raise InceptorchError(
            f"Cannot transfer style at {size} pixels: an image of {image.width}x{image.height} would begin with "
            f"{width}x{height} pixels, and needs {least} a side. Try a less elongated one."
        )


def _check_memory(image: Image.Image, size: int, layers: StyleLayers) -> None:
    """Raise InceptorchError for a size at which the maps do not fit into memory."""
    width, height = fitting(*image.size, size)
    needed = MEMORY + layers.memory * width * height
    if needed > (there := physical_memory()):
        raise InceptorchError(
            f"Cannot transfer style at {width}x{height} pixels: it takes about {needed / 1e9:.0f} GB of memory, and "
            f"this machine has {there / 1e9:.0f} GB. Try a smaller --size."
        )


def resized(image: Image.Image, size: int) -> Image.Image:
    """An image with `size` pixels as its long side."""
    return image.resize(fitting(*image.size, size), Image.Resampling.LANCZOS)


def default_model(net: str | None) -> str:
    """The published weights of a network. Raises BundleError."""
    net = _known(net or "googlenet")
    if net not in WEIGHTS:
        raise BundleError(f"Cannot find weights of {net}: none are listed as published. Try --model with a bundle.")
    return WEIGHTS[net]


def _known(net: str) -> str:
    if net not in LAYERS:
        raise InceptorchError(f"Cannot use the network {net!r}: {did_you_mean(net, LAYERS)}")
    return net


def style_layers(classifier: Classifier, net: str | None = None) -> StyleLayers:
    """The layers of a network by its name; of others the last ones before their maps are halved. Raises TableError."""
    known = layer_names(classifier.model)
    for name, layers in LAYERS.items():
        if name == (_known(net) if net else name) and {layers.content, *layers.style} <= set(known):
            return layers
    if net is not None:
        raise TableError(f"Cannot use the model as {net}: it is {classifier.config.architecture}. Leave out --net.")
    stages = [info["module"].removeprefix("body.") for info in getattr(classifier.model, "feature_info", [])]
    if len(stages) < 2:
        raise TableError(
            f"Cannot transfer style with {classifier.config.architecture}: its stages are not known. "
            "Try googlenet.bvlc."
        )
    return StyleLayers(stages[len(stages) // 2], tuple(stages[:-1]))


def scales(size: int) -> list[int]:
    """Long sides in pixels, each about twice the one before, up to `size`: coarse strokes are drawn where they are
    cheap."""
    sizes = [size]
    while sizes[0] >= 2 * SMALLEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


class _Transfer:
    """One image on its way to another style, scale by scale."""

    def __init__(
        self, settings: StyleSettings, content: Image.Image, alpha: Image.Image | None, styles: list[Image.Image],
        weights: list[float], maps: Maps, layers: StyleLayers, every: int,
        on_image: Callable[[StyledImage], object] | None,
    ):  # fmt: skip
        self.settings, self.content, self.alpha = settings, content, alpha
        self.styles, self.weights = styles, weights
        self.maps, self.layers = maps, layers
        self.every, self.on_image = every, on_image
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.device = maps.device
        self.losses: dict[str, list[float]] = {
            name: [] for name in (f"content {layers.content}", *(f"style {layer}" for layer in layers.style))
        }
        self.sizes: list[int] = []

    def run(self, progress: Progress) -> StyledImage:
        settings, image, interrupted = self.settings, None, False
        gray = self.maps.normalize.channels == "gray"
        with torch.inference_mode(False):
            for size in scales(settings.size):
                try:
                    content = self._tensor(self.content, size)
                    loss = self._loss(content, size)
                except KeyboardInterrupt:
                    if image is None:
                        raise
                    interrupted = True
                    break
                start = content if image is None else F.interpolate(image, content.shape[2:], mode="bicubic")
                parameters = FourierImage(1, *content.shape[2:], start=start.cpu(), gray=gray).to(self.device)
                done = optimize(
                    parameters, loss, settings.steps, progress=progress, what=f"{size} pixels", on_step=self._on_step
                )
                image, interrupted = done.image, done.interrupted
                if interrupted:
                    break
        assert image is not None
        return self._finished(image, interrupted)

    def _loss(self, content: Tensor, size: int) -> Callable[[Tensor, int], Tensor]:
        """The loss of images of one scale. Every layer's is relative, so that a weight means the same for all images,
        all networks and all scales."""
        padded = F.pad(content, [JITTER] * 4, mode="reflect")
        height, width = content.shape[2:]
        views, steps = min(VIEWS, self.settings.steps), self.settings.steps
        places = torch.randint(2 * JITTER + 1, (views, 2), generator=self.generator).tolist()
        order = torch.randint(views, (steps,), generator=self.generator).tolist()

        def view(images: Tensor, number: int) -> Tensor:
            top, left = places[number]
            return images[:, :, top : top + height, left : left + width]

        layer = self.layers.content
        with torch.no_grad():
            found = self.maps(content)
            unit = distance(found[layer], 0)
            wanted = self._style_targets(size)
            units = {
                name: torch.maximum(distance(gram(found[name]), target), FLOOR * distance(target, 0))
                for name, target in wanted.items()
            }
            answers = [self.maps(view(padded, number))[layer] for number in range(views)]

        def loss(images: Tensor, step: int) -> Tensor:
            number = order[step]
            seen = self.maps(view(F.pad(images, [JITTER] * 4, mode="reflect"), number))
            losses = {f"content {layer}": distance(seen[layer], answers[number]) / unit}
            losses |= {f"style {name}": distance(gram(seen[name]), wanted[name]) / units[name] for name in wanted}
            for name, value in losses.items():
                self.losses[name].append(float(value.detach()))
            self.sizes.append(size)
            of_content, *of_style = losses.values()
            return of_content + STYLE_WEIGHT * self.settings.strength * torch.stack(of_style).mean()

        return loss

    def _style_targets(self, size: int) -> dict[str, Tensor]:
        """The weighted means of the styles' Gram matrices, which are closest to all of them."""
        targets: dict[str, Tensor] = {}
        for weight, image in zip(self.weights, self.styles, strict=True):
            seen = self.maps(self._tensor(image, round(STYLE_SCALE * size)))
            for name in self.layers.style:
                targets[name] = targets.get(name, torch.zeros(())).to(self.device) + weight * gram(seen[name])
        return targets

    def _tensor(self, image: Image.Image, size: int) -> Tensor:
        """An image [1, 3, H, W] from 0 to 1, with `size` pixels as its long side."""
        return to_tensor(np.asarray(resized(image, size))[None], self.device)

    def _on_step(self, step: int, image: Tensor) -> None:
        if self.on_image is not None and self.every and len(self.sizes) % self.every == 0:
            self.on_image(self._finished(image, False))

    def _finished(self, image: Tensor, interrupted: bool) -> StyledImage:
        """The image in full size, with the content's colors where they are kept, and its alpha."""
        content = resized(self.content, self.settings.size)
        made = Image.fromarray(to_uint8(image)[0])
        if made.size != content.size:  # an earlier scale
            made = made.resize(content.size, Image.Resampling.BICUBIC)
        if self.settings.keep_colors:
            luminance = made.convert("YCbCr").getchannel(0)
            made = Image.merge("YCbCr", (luminance, *content.convert("YCbCr").split()[1:])).convert("RGB")
        if self.alpha is not None:
            made.putalpha(self.alpha.resize(content.size, Image.Resampling.LANCZOS))
        losses = {name: list(values) for name, values in self.losses.items()}
        return StyledImage(np.array(made), losses, list(self.sizes), interrupted)


def distance(x: Tensor, y: Tensor | float) -> Tensor:
    """The mean squared difference."""
    return (x - y).square().mean()
