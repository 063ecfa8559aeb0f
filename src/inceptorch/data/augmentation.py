"""How training images are augmented, as data. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from inceptorch.errors import RecipeError
from inceptorch.utils.validation import Fraction, PositiveFloat, PositiveFraction, check_fields, require

Alpha = Annotated[float, Meta(ge=0, le=1000)]
ScaleRange = Annotated[
    tuple[PositiveFraction, PositiveFraction], Meta(description="two fractions [low, high] above 0, up to 1")
]
RatioRange = Annotated[tuple[PositiveFloat, PositiveFloat], Meta(description="two ratios [low, high] above 0")]


@dataclass(frozen=True)
class AugmentationConfig:
    # smallest and largest fraction of the area that a training crop covers; (1, 1): the center crop
    crop_scale: ScaleRange = (0.25, 1.0)
    crop_ratio: RatioRange = (3 / 4, 4 / 3)  # smallest and largest aspect ratio of a training crop
    # of which image `crop_ratio` is: the image itself, or one that was first squeezed to a square, as Caffe's were
    crop_from: Literal["image", "square"] = "image"
    hflip: Fraction = 0.5  # probability of a horizontal flip
    # each image is flipped in every other epoch (arXiv:2404.00498) rather than by chance, unless hflip is 0
    hflip_alternate: bool = False
    # largest shift along each axis in pixels of a crop as large as `size`, with the edges reflected; 0: none
    translate: Annotated[int, Meta(ge=0, le=512)] = 0
    # of the crop: `default`, the preprocessing's, or `random`: bilinear, area, nearest or bicubic
    interpolation: Literal["default", "random"] = "default"
    # smallest and largest factor on an image with boxes, from the size at which it just fits
    zoom: RatioRange = (0.7, 1.5)
    color_jitter: Fraction = 0.0  # largest change of brightness, contrast and saturation, in random order; 0: none
    # brightness, saturation, hue and contrast changed as in TensorFlow's public code for Inception
    color_distortion: bool = False
    # `trivial`: one operation of TrivialAugment (arXiv:2103.10158) on each image
    auto_augment: Literal["none", "trivial"] = "none"
    # probability that a rectangle of an image becomes the mean color (arXiv:1708.04896)
    random_erasing_prob: Fraction = 0.0
    mixup_alpha: Alpha = 0.0  # of mixup (arXiv:1710.09412); 0: none
    cutmix_alpha: Alpha = 0.0  # of CutMix (arXiv:1905.04899); 0: none; with mixup, each step draws one of them

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        for name, what in (("crop_scale", "fractions"), ("crop_ratio", "ratios"), ("zoom", "factors")):
            low, high = getattr(self, name)
            require(low <= high, self, name, f"two {what}, rising", RecipeError)
        for name in ("mixup_alpha", "cutmix_alpha"):
            require(not 0 < getattr(self, name) < 0.001, self, name, "0, or from 0.001 to 1000", RecipeError)
