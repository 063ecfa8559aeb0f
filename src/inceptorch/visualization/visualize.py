"""Images of what channels, directions and classes of a network answer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, TableError
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import PositiveFloat, check_fields
from inceptorch.visualization.default_model import open_classifier, remark_on_inception_v3
from inceptorch.visualization.fourier import FourierImage
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.objectives import Objective, diversity
from inceptorch.visualization.optimize import LR, optimize
from inceptorch.visualization.patches import Patch, TopPatches, top_patches
from inceptorch.visualization.pixels import to_uint8
from inceptorch.visualization.subjects import Subject, earlier_layer, find_subjects, map_shapes, read_direction
from inceptorch.visualization.transforms import random_view

STEPS, SHEET_STEPS = 256, 128  # of one image, and of several
SHEET_SIZE = 128  # pixels at most, unless more are asked for
BATCH_PIXELS = 16 * 128**2  # of all images that share a forward pass, which bounds memory
RELAXED_STEPS = 16  # in which ReLU is relaxed
DIVERSITY = 2.0  # weight of being unlike, relative to the objective's value


@dataclass(frozen=True)
class VisualizeSettings:
    """The arguments of `visualize` that its PNG holds; see there."""

    layer: str | None = None
    target: str | None = None
    channels: tuple[Annotated[int, Meta(ge=0, le=10**6)], ...] | None = None
    diversity: Annotated[int, Meta(ge=1, le=16)] = 1
    negative: bool = False
    steps: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    size: Annotated[int, Meta(ge=1, le=4096)] | None = None
    lr: PositiveFloat = LR
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)


@dataclass(frozen=True, eq=False)
class Visualization:
    """What was found for one channel, direction or class.

    label            of it
    images           uint8 [N, S, S, 3], unlike one another
    values           of the objective for each image
    started          the same before the first step
    opposite         images that lower the value, [N, S, S, 3]; empty without `negative`
    opposite_values  of these; a layer that ends in ReLU is taken before it, where values go below zero
    patches          of photographs, those with the highest values first
    """

    label: str
    images: NDArray[np.uint8]
    values: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    opposite: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    opposite_values: list[float] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)

    @property
    def raised(self) -> bool:
        """Whether the optimization found anything; a dead channel stays as it was."""
        return any(value > before for value, before in zip(self.values, self.started, strict=True))


@dataclass(frozen=True, eq=False)
class Visualized:
    """All that were found, the settings with all defaults filled in, and the photographs.

    steps   taken by the last images, which Ctrl-C ended early
    """

    visualizations: list[Visualization]
    settings: VisualizeSettings
    photographs: TopPatches | None = None
    interrupted: bool = False
    steps: int = 0


def visualize(
    model: Classifier | str | Path,
    layer: str | Objective | None = None,
    *,
    target: str | int | None = None,
    channels: Sequence[int] | None = None,
    direction: str | Path | None = None,
    data: str | Path | None = None,
    diversity: int = 1,
    negative: bool = False,
    steps: int | None = None,
    size: int | None = None,
    lr: float = LR,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Visualization]:
    """Images that a network answers to, optimized from noise: of a layer's channels, of one channel, place or class,
    or of any objective, which add and scale.

    model      a classifier, a bundle, a run, or published weights by name
    layer      LAYER, LAYER:CHANNEL, LAYER:CHANNEL@COLUMN,LINE, a sum such as "4c:12 + 0.5*4d:40 - 4c:7", or an
               objective such as `channel("4c", 12) + 0.5 * channel("4d", 40)` of `inceptorch.visualization.objectives`
    target     a class, by name or number, instead of a layer
    channels   of a layer; by default the first 16
    direction  a file of numpy with a number for each channel of the layer
    data       photographs, of which each channel's top patches are found: as for training, or a folder of images
    diversity  images of each, unlike one another
    negative   whether the other side is shown, too: what lowers the value
    steps      by default 256 for one image, 128 for several
    size       in pixels; by default the network's, for several images at most 128
    lr         the learning rate of Adam
    seed       of the noise and the views

    Raises TableError for a layer, channel or place that the network does not have, BundleError for an unknown class,
    and DataError where DATA holds no image.
    """
    objective, name = (layer, None) if isinstance(layer, Objective) else (None, layer)
    settings = VisualizeSettings(
        name, None if target is None else str(target), None if channels is None else tuple(channels), diversity,
        negative, steps, size, lr, seed,
    )  # fmt: skip
    found = run(
        open_classifier(model), settings, progress or Progress(quiet=True), objective, direction=direction, data=data
    )
    if found.interrupted:
        raise KeyboardInterrupt
    return found.visualizations


def run(
    classifier: Classifier,
    settings: VisualizeSettings,
    progress: Progress,
    objective: Objective | None = None,
    *,
    direction: str | Path | None = None,
    data: str | Path | None = None,
    on_photographs: Callable[[TopPatches], None] = lambda photographs: None,
    on_images: Callable[[list[Visualization]], None] = lambda visualizations: None,
    every: int = 0,
) -> Visualized:
    """As `visualize`; Ctrl-C ends it with the images so far. `on_photographs` is called before any step, and
    `on_images` after every `every` steps with those of all subjects that have any."""
    along = None if direction is None else read_direction(Path(direction))
    subjects = find_subjects(
        classifier, objective or settings.layer, target=settings.target, channels=settings.channels, along=along,
        size=settings.size,
    )  # fmt: skip
    settings = _with_defaults(classifier, settings, subjects)
    remark_on_inception_v3(classifier, progress)
    photographs = None if data is None else top_patches(classifier, subjects, data, progress)
    if photographs is not None:
        on_photographs(photographs)
    work = _Work(classifier, settings, subjects, photographs.patches if photographs else [[] for _ in subjects])
    interrupted, steps = False, 0
    for batch in work.batches():
        interrupted, steps = work.optimize(batch, progress, on_images, every)
        if interrupted:
            break
    for each in work.visualizations():
        if not interrupted and not each.raised:
            progress.info(f"{each.label} was not raised by any step. Try another --seed or more --steps")
    return Visualized(work.visualizations(), settings, photographs, interrupted, steps)


def _with_defaults(
    classifier: Classifier, settings: VisualizeSettings, subjects: Sequence[Subject]
) -> VisualizeSettings:
    """The settings with steps and size, which depend on how many images there are."""
    count = len(subjects) * settings.diversity * (1 + settings.negative)
    size = settings.size
    if size is None:
        size = classifier.preprocessing.size
        layers = {layer for subject in subjects for layer in subject.objective.layers}
        if count > 1 and size > SHEET_SIZE and _fits(classifier, subjects, layers):
            size = SHEET_SIZE
    return replace(settings, size=size, steps=settings.steps or (STEPS if count == 1 else SHEET_STEPS))


def _fits(classifier: Classifier, subjects: Sequence[Subject], layers: set[str]) -> bool:
    """Whether the network takes images of `SHEET_SIZE`, and all places are in their maps."""
    try:
        shapes = map_shapes(classifier, layers, SHEET_SIZE)
        for subject in subjects:
            for unit in subject.objective.units:
                unit.check(shapes)
    except TableError:
        return False
    return True


@dataclass(frozen=True)
class _Side:
    """The images of one subject that raise its value, or with `negative` those that lower it."""

    subject: int
    negative: bool


class _Work:
    """The images of all subjects, which are optimized batch by batch."""

    def __init__(
        self,
        classifier: Classifier,
        settings: VisualizeSettings,
        subjects: Sequence[Subject],
        patches: Sequence[list[Patch]],
    ):
        self.settings, self.subjects, self.patches = settings, subjects, patches
        self.gray = classifier.preprocessing.channels == "gray"
        layers = sorted({layer for subject in subjects for layer in subject.objective.layers})
        self.earlier = earlier_layer(classifier, frozenset(layers)) if settings.diversity > 1 else None
        self.maps = Maps(classifier, layers + ([self.earlier] if self.earlier else []))
        # Before the ReLUs of a layer whose map is not needed any further.
        ends = [layer for layer in layers if layer.partition(".")[0] in self.maps.walked[-1:]]
        self.signed = ends if ends or len(layers) > 1 else layers
        self.found: dict[_Side, tuple[NDArray[np.uint8], list[float], list[float]]] = {}

    def batches(self) -> Iterator[list[_Side]]:
        """Sides that share a forward pass: all of them positive or all negative."""
        assert self.settings.size is not None
        images = max(1, BATCH_PIXELS // self.settings.size**2)
        sides = max(1, images // self.settings.diversity)
        for negative in (False, True)[: 1 + self.settings.negative]:
            for first in range(0, len(self.subjects), sides):
                yield [_Side(number, negative) for number in range(first, min(first + sides, len(self.subjects)))]

    def optimize(
        self,
        batch: Sequence[_Side],
        progress: Progress,
        on_images: Callable[[list[Visualization]], None],
        every: int,
    ) -> tuple[bool, int]:
        """Optimize a batch. Whether it was interrupted, and the steps that were taken."""
        size, steps, each = self.settings.size, self.settings.steps, self.settings.diversity
        assert size is not None
        assert steps is not None
        generator = torch.Generator().manual_seed(self.settings.seed)
        image = FourierImage(len(batch) * each, size, size, generator, gray=self.gray).to(self.maps.device)
        sign = -1 if batch[0].negative else 1

        def loss(images: Tensor, step: int) -> Tensor:
            maps = self._maps(_view(images, generator), batch, relaxed=step < RELAXED_STEPS)
            total = torch.zeros((), device=images.device)
            for number, side in enumerate(batch):
                own = {layer: x[number * each : (number + 1) * each] for layer, x in maps.items()}
                values = self.subjects[side.subject].objective.value(own)
                total = total - sign * values.sum()
                if self.earlier is not None:
                    scale = values.detach().abs().clamp(min=1e-3)
                    total = total - DIVERSITY * (scale * diversity(self.earlier).value(own)).sum()
            return total

        def keep(images: Tensor, started: Sequence[list[float]]) -> None:
            values = self._values(images, batch)
            pixels = to_uint8(images)
            for number, side in enumerate(batch):
                self.found[side] = (pixels[number * each : (number + 1) * each], values[number], started[number])

        with torch.no_grad():
            started = self._values(image(), batch)

        def on_step(step: int, images: Tensor) -> None:
            if every and step % every == 0 and step < steps:
                keep(images, started)
                on_images(self.visualizations())

        numbers = f"{batch[0].subject + 1} to {batch[-1].subject + 1} of {len(self.subjects)}"
        what = "visualizing" if len(self.subjects) == 1 else f"visualizing {numbers}"
        result = optimize(image, loss, steps, lr=self.settings.lr, progress=progress, what=what, on_step=on_step)
        keep(result.image, started)
        return result.interrupted, len(result.losses)

    def visualizations(self) -> list[Visualization]:
        """Of the subjects that have images."""
        nothing = np.zeros((0, 1, 1, 3), np.uint8), list[float](), list[float]()
        made = []
        for number, subject in enumerate(self.subjects):
            if (side := _Side(number, False)) in self.found:
                images, values, started = self.found[side]
                opposite, below, _ = self.found.get(_Side(number, True), nothing)
                patches = self.patches[number]
                made.append(Visualization(subject.label, images, values, started, opposite, below, patches))
        return made

    def _values(self, images: Tensor, batch: Sequence[_Side]) -> list[list[float]]:
        """The objective of each side for its images, without a random view."""
        each = self.settings.diversity
        with torch.no_grad():
            maps = self._maps(images, batch)
            return [
                self.subjects[side.subject]
                .objective.value({layer: x[number * each : (number + 1) * each] for layer, x in maps.items()})
                .tolist()
                for number, side in enumerate(batch)
            ]

    def _maps(self, images: Tensor, batch: Sequence[_Side], relaxed: bool = False) -> dict[str, Tensor]:
        with ExitStack() as stack:
            if relaxed:
                stack.enter_context(self.maps.relaxed())
            for layer in self.signed if batch[0].negative else []:
                stack.enter_context(self.maps.signed(layer))
            found: dict[str, Tensor] = self.maps(images)
        return found


def _view(images: Tensor, generator: torch.Generator) -> Tensor:
    """The middle of a random view, as large as the images."""
    view = random_view(images, generator)
    top, left = ((a - b) // 2 for a, b in zip(view.shape[2:], images.shape[2:], strict=True))
    return view[:, :, top : top + images.shape[2], left : left + images.shape[3]]


def describe(each: Visualization) -> dict[str, Any]:
    """The JSON form of all but pixels."""
    return {
        "label": each.label,
        "values": each.values,
        "started": each.started,
        "raised": each.raised,
        "opposite_values": each.opposite_values,
        "patches": [{"file": one.file, "value": one.value, "box": list(one.box)} for one in each.patches],
    }
