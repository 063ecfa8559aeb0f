"""A classifier without its weights: the content of `config.json`, and the metadata of an exported file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from inceptorch.errors import BundleError, TableError, within
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.networks import serialization
from inceptorch.networks.complexity import LayerCost, count_complexity, tensor_shapes
from inceptorch.networks.detection import DetectionHead
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.timm_config import bundle_keys, check_pretrained_cfg
from inceptorch.networks.zoo import get_network
from inceptorch.utils.files import reading, require_regular
from inceptorch.utils.tensors import check_tensors
from inceptorch.utils.validation import build, check_fields

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FORMAT = 3  # of config.json; format 2 has other names for some keys, format 1 also lacks the table of the network


class Threshold(TypedDict):
    """A confidence below which predictions are rejected, and what that does on the validation images.

    coverage is the fraction above the threshold, selective_accuracy the accuracy on those, accuracy_with_rejection the
    fraction of all images that is accepted and right, and accuracy that without a threshold.
    """

    threshold: float
    coverage: float
    selective_accuracy: float
    accuracy_with_rejection: float
    accuracy: float


class DistanceThreshold(TypedDict):
    """A distance from the training images above which an image is out of distribution, in standard deviations from the
    mean; `mean` and `std` are those of the squared Mahalanobis distance by features, of `n` validation images.

    false_alarms is the fraction of these that lie above the threshold.
    """

    threshold: float
    mean: float
    std: float
    n: int
    false_alarms: float


class _DrawnSplit(TypedDict):
    fraction: float
    seed: int
    fingerprint: str


class ValidationSplit(_DrawnSplit, total=False):
    """How training chose its validation images, for later evaluation on the same images: the fraction of each class,
    the seed, the fingerprint of all images, and by what images are kept together (`data.groups`)."""

    group_by: str


@dataclass(frozen=True)
class Metadata:
    """Source and scores of a classifier; None where not known.

    trained_on, validated_on  descriptions of the images
    recipe                    name of the recipe
    top1, top5                accuracy on the validation images, 0 to 1
    map50                     of a detector, mean average precision at an IoU of 0.5 on the validation images
    score_threshold           of a detector, the score at which F1 was highest on the validation images
    split                     where training chose the validation images itself
    threshold                 of confidence, from the validation images
    distance                  from the training images, with a threshold from the validation images
    weights, url              name, source and address of published weights
    license, accuracy, note   as published
    other                     anything else in the file, by name
    """

    trained_on: str | None = None
    validated_on: str | None = None
    recipe: str | None = None
    top1: float | None = None
    top5: float | None = None
    map50: float | None = None
    score_threshold: float | None = None
    split: ValidationSplit | None = None
    threshold: Threshold | None = None
    distance: DistanceThreshold | None = None
    weights: str | None = None
    url: str | None = None
    license: str | None = None
    accuracy: str | None = None
    note: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All values that are known."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "other"}
        return {name: value for name, value in values.items() if value is not None} | dict(self.other)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metadata:
        """Read what `to_dict` wrote. Raises BundleError."""
        names = {each.name for each in fields(cls)} - {"other"}
        known = {name: value for name, value in values.items() if name in names}
        for name, kind in (("split", ValidationSplit), ("threshold", Threshold), ("distance", DistanceThreshold)):
            value = known.get(name)
            keys = [key for key in kind.__annotations__ if key in kind.__required_keys__]
            if value is not None and not (isinstance(value, dict) and value.keys() >= set(keys)):
                raise BundleError(f"{name} of the metadata must have the values {', '.join(keys)}.")
        return cls(**known, other={name: value for name, value in values.items() if name not in names})


@dataclass(frozen=True)
class ClassifierConfig:
    """The content of `config.json`, held by classifiers and engines.

    spec       the paper's table; for a custom module, its name
    detection  the head of a detector, which takes the place of the table's; None for a classifier
    aux_heads  the weights include the auxiliary heads, as published ones do; the papers discard them after training
    """

    spec: NetworkSpec | str
    preprocessing: Preprocessing
    classes: list[str]
    metadata: Metadata = Metadata()
    aux_heads: bool = False
    detection: DetectionHead | None = None

    @property
    def is_custom(self) -> bool:
        """Whether the model is a custom module, which no table describes."""
        return isinstance(self.spec, str)

    @property
    def architecture(self) -> str:
        """The name of the network."""
        return self.spec if isinstance(self.spec, str) else self.spec.name

    @property
    def network(self) -> NetworkSpec:
        """The paper's table. Raises BundleError for a custom module."""
        if isinstance(self.spec, str):
            raise BundleError(
                f"Cannot do this with the custom module {self.spec}, which no table describes. "
                "Try a network of `inceptorch nets`."
            )
        return self.spec

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height in pixels of the network's images."""
        if self.detection is not None:
            return self.detection.width, self.detection.height
        return self.preprocessing.size, self.preprocessing.size

    @property
    def layer_costs(self) -> tuple[LayerCost, ...]:
        """The parameters and multiply-adds of each layer for one image, of a detector with its head. Raises
        BundleError for a custom module."""
        net, classes, channels = self.network, len(self.classes), self.preprocessing.in_chans
        if self.detection is not None:
            return self.detection.costs(net, classes, channels)
        return count_complexity(net, self.preprocessing.size, classes, channels).layers

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.macs for layer in self.layer_costs)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        network: dict[str, Any] = {"architecture": self.architecture, "custom": True}
        if self.detection is not None:
            plain = serialization.to_plain(self.network)
            network = {"architecture": self.architecture, "network": plain, "detection": asdict(self.detection)}
        elif not self.is_custom:
            network = {
                **bundle_keys(self.network, self.preprocessing, len(self.classes)),
                "network": serialization.to_plain(self.network),
                "aux_heads": self.aux_heads,
            }
        return {
            "format": FORMAT,
            "library_name": "inceptorch",
            **network,
            "num_classes": len(self.classes),
            "in_chans": self.preprocessing.in_chans,
            "preprocessing": self.preprocessing.to_dict(),
            "label_names": self.classes,
            "metadata": self.metadata.to_dict(),
        }

    def check_tensors(self, tensors: Mapping[str, Any], folder: Path) -> None:
        """Raise BundleError unless the tensors of the bundle in `folder` are those of its network, whatever engine is
        to execute it."""
        classes, channels = len(self.classes), self.preprocessing.in_chans
        try:
            if self.detection is not None:
                expected = self.detection.tensors(self.network, classes, channels)
            else:
                expected = tensor_shapes(self.network, classes, channels, self.preprocessing.size, self.aux_heads)
        except TableError as error:
            raise BundleError(within(folder / CONFIG, error)) from None
        if self.network.aux and self.aux_heads != (found := any(name.startswith("aux.") for name in tensors)):
            has, remedy = ("holds", "true") if found else ("lacks", "false")
            raise BundleError(
                f"Cannot use {folder}: {WEIGHTS} {has} the weights of auxiliary heads, but aux_heads in {CONFIG} says "
                f'otherwise. Try "aux_heads": {remedy} there, or the files as they were written.'
            )
        counts = [name for name in expected if name.endswith("num_batches_tracked")]
        check_tensors(tensors, expected, counts, folder / WEIGHTS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str | Path, custom: bool = False) -> ClassifierConfig:
        """Read the output of `to_dict`, also in format 1 or 2; errors name `source`. With `custom`, the model may be a
        custom module. Raises BundleError."""
        try:
            found = build(_Config, _in_format_3(values), "it", BundleError, more=True)
            if found.custom and not custom:
                raise BundleError(
                    f"the weights are of a custom module, {found.architecture}. Try inceptorch.load(FOLDER, model=...)."
                )
            network: NetworkSpec | str = found.architecture
            if not found.custom:
                plain = found.network
                network = plain if isinstance(plain, NetworkSpec) else serialization.from_plain(plain)
            preprocessing = Preprocessing.from_dict(found.preprocessing)
            if "pretrained_cfg" in values and not found.custom:
                check_pretrained_cfg(values["pretrained_cfg"], preprocessing)
            metadata = Metadata.from_dict(found.metadata)
            detection = None if found.detection is None else DetectionHead.from_dict(found.detection)
        except (BundleError, TableError) as error:
            raise BundleError(within(source, error)) from None
        return cls(network, preprocessing, found.label_names, metadata, found.aux_heads is True, detection)


@dataclass
class _Config:
    """The keys of `config.json` that are read; the others are for other programs."""

    num_classes: int
    preprocessing: dict[str, Any]
    label_names: Annotated[list[str], Meta(min_length=1, description="a list of class names")]
    metadata: dict[str, Any]
    architecture: str = ""
    custom: bool = False
    network: Any = None
    aux_heads: Any = False
    detection: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self, BundleError)
        if any("\ud800" <= letter <= "\udfff" for name in self.label_names for letter in name):
            raise BundleError("label_names must be a list of class names that UTF-8 can hold.")
        if len(set(self.label_names)) < len(self.label_names):
            raise BundleError("label_names has a name twice.")
        if self.num_classes != len(self.label_names):
            raise BundleError(f"num_classes is {self.num_classes}, but label_names has {len(self.label_names)} names.")


def read_config(folder: Path, custom: bool = False) -> ClassifierConfig:
    """The config of a bundle or run. Raises BundleError if there is no bundle."""
    if (folder.suffix == ".onnx" and not folder.is_dir()) or (folder / "model.xml").exists():
        raise BundleError(
            f"Cannot use {folder} here, as it is an exported file. Name the bundle that it was exported from."
        )
    if not folder.is_dir():
        what = "is a file, not a folder with a classifier in it" if folder.exists() else "does not exist"
        raise BundleError(
            f"Cannot open {folder}: it {what}. Name a run or a bundle, as `inceptorch train` or `convert` write, an "
            "exported file, or published weights, as `inceptorch weights` lists."
        )
    if not (folder / CONFIG).exists():
        unfinished = (folder / "run.yaml").exists()
        remedy = f"Finish it with: inceptorch train --resume {folder}" if unfinished else "Name a run or a bundle."
        raise BundleError(f"Cannot open {folder}: it has no {CONFIG}. {remedy}")
    return ClassifierConfig.from_dict(_read_json(folder / CONFIG), folder / CONFIG, custom)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises BundleError."""
    require_regular(path, BundleError)
    try:
        with reading(path, BundleError):
            value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"Cannot read {path}: it is not JSON, or is damaged ({error}). Copy it again from where it came from."
        ) from None
    if not isinstance(value, dict):
        raise BundleError(f"Cannot read {path}: it holds no JSON object. Copy it again from where it came from.")
    return value


# Formats 1 and 2, to be read for one release: what format 3 calls their keys.
METADATA_BEFORE = {
    "trained on": "trained_on",
    "judged on": "validated_on",
    "unknown": "threshold",
    "licence": "license",
    "accuracy as published": "accuracy",
}
THRESHOLD_BEFORE = {
    "below": "threshold",
    "answered": "coverage",
    "right_of_answered": "selective_accuracy",
    "right": "accuracy_with_rejection",
    "right_without": "accuracy",
}


def _in_format_3(values: Mapping[str, Any]) -> dict[str, Any]:
    """The config in format 3. Raises BundleError."""
    config = dict(values)
    format = config.get("format")
    if format not in (1, 2, FORMAT):
        raise BundleError(f"the format is {format!r}; this version of inceptorch reads formats 1 to {FORMAT}.")
    before = format != FORMAT
    preprocessing, metadata = ("pixels", "about") if before else ("preprocessing", "metadata")
    network = () if config.get("custom") is True else ("architecture" if format == 1 else "network",)
    for key in (*network, preprocessing):
        if key not in config:
            raise BundleError(f"it has no {key!r}.")
    about = config.get(metadata, {})
    if before and isinstance(about, dict):
        about = {METADATA_BEFORE.get(name, name): value for name, value in about.items()}
        if isinstance(split := about.get("split"), dict):
            about["split"] = {"fraction" if name == "share" else name: value for name, value in split.items()}
        if isinstance(threshold := about.get("threshold"), dict):
            about["threshold"] = {THRESHOLD_BEFORE.get(name, name): value for name, value in threshold.items()}
    if format == 1:
        config["network"] = get_network(str(config["architecture"]))
    return config | {"preprocessing": config[preprocessing], "metadata": about}
