"""A classifier and its bundle on disk: `config.json`, `model.safetensors`, `README.md`, as on the Hugging Face hub.

A bundle of recipe `head` also has `features.safetensors`. A run folder is a bundle too. torch is imported when a
classifier is loaded, not with this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast, overload

import numpy as np
import yaml
from numpy.typing import NDArray

from inceptorch.classifier.config import CARD, CONFIG, WEIGHTS, ClassifierConfig, Metadata, read_config
from inceptorch.classifier.statistics import STATISTICS, FeatureStatistics
from inceptorch.errors import BundleError, TableError, within
from inceptorch.images.crops import CENTER
from inceptorch.images.decode import ImageInput
from inceptorch.images.preprocessing import ImageArray, Preprocessing
from inceptorch.utils.files import new_folder, write_text
from inceptorch.utils.html import render

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inceptorch.models.detector import Detector
    from inceptorch.models.module import Model


HUB_LICENSES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc0-1.0"}


class TopClass(TypedDict):
    """One of the most probable classes of an image."""

    label: str
    index: int
    probability: float


class Answer(TypedDict):
    """One of the answers to an image: a `TopClass` of a classifier, or a `Box` of a detector, whose keys these are."""

    label: str
    index: int
    probability: NotRequired[float]
    score: NotRequired[float]
    box: NotRequired[list[float]]


@dataclass(repr=False)
class Classifier:
    """A model with its config. The model may also be any module that returns logits, which cannot be exported then; or
    a `Detector`, whose config has a detection head. `statistics` are those of the training images' features, where the
    classifier alone was trained."""

    model: Model
    config: ClassifierConfig
    statistics: FeatureStatistics | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        preprocessing: Preprocessing,
        classes: Sequence[str],
        metadata: Metadata | None = None,
        *,
        aux_heads: bool = False,
    ) -> Classifier:
        """The classifier of a model; with `aux_heads`, its bundle holds the auxiliary heads."""
        from inceptorch.models.detector import Detector
        from inceptorch.models.module import Model

        metadata = metadata or Metadata()
        if isinstance(model, Detector):
            config = ClassifierConfig(model.net, preprocessing, list(classes), metadata, detection=model.detection)
            return cls(cast("Model", model), config)
        custom = not isinstance(model, Model)
        spec = f"{type(model).__module__}.{type(model).__qualname__}" if custom else model.net
        save_aux = not custom and aux_heads and bool(model.aux)
        return cls(model, ClassifierConfig(spec, preprocessing, list(classes), metadata, save_aux))

    @classmethod
    def read(cls, folder: Path, model: nn.Module | None = None) -> Classifier:
        """The classifier in a bundle or run folder; a custom module's weights are read into `model`.

        Raises BundleError if a file is missing or damaged, or if `config.json` and the weights contradict each other.
        """
        import torch

        from inceptorch.models.detector import Detector
        from inceptorch.models.module import Model
        from inceptorch.models.weights import fit, read_safetensors

        config = read_config(folder, custom=model is not None)
        tensors = read_safetensors(folder / WEIGHTS)
        if model is None:
            config.check_tensors(tensors, folder)  # before memory is taken for a network
            size, channels = config.preprocessing.size, config.preprocessing.in_chans
            aux, classes = config.aux_heads, len(config.classes)
            built: nn.Module
            try:
                if config.detection is not None:
                    built = Detector(config.network, config.detection, classes, channels, initialize=False)
                else:
                    built = Model(config.network, classes, channels, aux=aux, size=size, initialize=False)
            except TableError as error:
                raise BundleError(within(folder / CONFIG, error)) from None
            model = built.to(memory_format=torch.channels_last)
        fit(model, tensors, folder / WEIGHTS)
        statistics = None
        if isinstance(model, Model) and (folder / STATISTICS).exists():
            statistics = FeatureStatistics.read(folder / STATISTICS, len(config.classes), model.num_features)
        return cls(cast("Model", model.eval()), config, statistics)

    @property
    def classes(self) -> list[str]:
        return self.config.classes

    @property
    def preprocessing(self) -> Preprocessing:
        return self.config.preprocessing

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:3]) + (", ..." if len(self.classes) > 3 else "")
        kind = "Detector" if self.config.detection else "Classifier"
        width, height = self.config.input_size
        return (
            f"{kind} {self.config.architecture}, {len(self.classes)} classes: {names}\n"
            f"input {width}x{height} {self.preprocessing.channels}, on {next(self.model.parameters()).device}"
        )

    @overload
    def predict(self, images: ImageInput, top: int | None = None) -> list[Answer]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, images: Iterable[ImageInput], top: int | None = None) -> list[list[Answer]]: ...
    def predict(
        self, images: ImageInput | Iterable[ImageInput], top: int | None = None
    ) -> list[Answer] | list[list[Answer]]:
        """The `top` (5) most probable classes of one image, best first; for several images, a list of such lists.

        A detector gives the boxes (`images.boxes.Box`) of each image, down to its own threshold of the score;
        `inceptorch.predict` takes another. Images are as for that. Raises ImageError for one that cannot be read.
        """
        from inceptorch.images.inputs import is_one_image
        from inceptorch.inference.options import answers

        if is_one_image(images):
            return self.predict([images], top)[0]  # type: ignore[list-item]
        return answers(self, images, top)  # type: ignore[arg-type]

    def logits(
        self, crops: Sequence[ImageArray] | NDArray[np.uint8], forward: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Outputs of the model, or of `forward`, for uint8 crops [N, S, S, 3]: float32 [N, outputs] on the CPU."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            out = (forward or self.model)(self.prepare(crops))
        return out.float().cpu()

    def prepare(self, crops: Sequence[ImageArray] | NDArray[np.uint8]) -> Tensor:
        """uint8 crops [N, S, S, 3] as a normalized batch, float32 [N, C, S, S] on the model's device."""
        import torch

        from inceptorch.models.normalize import Normalize

        device = next(self.model.parameters()).device
        batch = torch.from_numpy(np.array(crops)).permute(0, 3, 1, 2).to(device)  # channels last in memory
        scaled: Tensor = Normalize(self.preprocessing).to(device)(batch)
        return scaled

    def to_best_device(self) -> Classifier:
        """Move the model to the GPU if there is one."""
        from inceptorch.runtime.device import best_device

        self.model.to(best_device())
        return self

    def save(self, folder: str | Path) -> None:
        """Write the files of the bundle into a new folder. Raises RunError if it is in use."""
        with new_folder(Path(folder)) as new:
            self.write(new)

    def write(self, folder: Path) -> None:
        """Write the files of the bundle into `folder`, replacing those there one by one."""
        from inceptorch.models.weights import write_safetensors

        everything = self.config.aux_heads or self.config.is_custom
        tensors = self.model.state_dict() if everything else evaluation_tensors(self.model)
        write_safetensors(folder / WEIGHTS, tensors, {"format": "pt"})
        config = self.config.to_dict()
        if not self.config.is_custom and self.config.detection is None:
            config["num_features"] = self.model.num_features  # which timm's loaders want
        write_text(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / CARD, self.card())
        if self.statistics is None:
            (folder / STATISTICS).unlink(missing_ok=True)  # of other weights
        else:
            self.statistics.write(folder / STATISTICS)

    def card(self) -> str:
        """The model card, `README.md`."""
        config = self.config
        task = "image-classification" if config.detection is None else "object-detection"
        name = (config.metadata.license or "").lower()
        license: dict[str, str | None] = {"license": "other", "license_name": config.metadata.license}
        if name in HUB_LICENSES:
            license = {"license": name}
        front = {
            "library_name": "inceptorch",
            "pipeline_tag": task,
            "tags": [task, "inception", config.architecture],
            **({} if name in ("", "none", "not stated") else license),
            **_model_index(config),
        }
        return render(
            "classifier/templates/bundle.md",
            front_matter=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            name=config.architecture,
            net=None if config.is_custom else config.network,
            classes=config.classes,
            head=config.detection,
            crops=CENTER.describe(config.preprocessing) if config.detection is None else config.detection.describe(),
            preprocessing=config.preprocessing,
            metadata={name.replace("_", " "): _in_words(value) for name, value in config.metadata.to_dict().items()},
        )


def _model_index(config: ClassifierConfig) -> dict[str, Any]:
    """The scores in the form of the hub's model cards (https://huggingface.co/docs/hub/model-cards)."""
    about = config.metadata
    scores = {"top-1 accuracy": about.top1, "top-5 accuracy": about.top5 if len(config.classes) > 5 else None}
    task, kind = {"type": "image-classification", "name": "Image Classification"}, "accuracy"
    if config.detection is not None:
        task, kind = {"type": "object-detection", "name": "Object Detection"}, "mean_average_precision"
        scores = {"mAP at IoU 0.5": about.map50}
    metrics = [
        {"type": kind, "name": name, "value": round(value, 4)} for name, value in scores.items() if value is not None
    ]
    if not metrics or about.trained_on is None or about.validated_on is None:
        return {}
    data, split = (re.sub(r"^\d+ images of ", "", each) for each in (about.trained_on, about.validated_on))
    dataset = {"type": re.sub(r"[^\w.-]+", "-", data.lower()), "name": data, "split": split}
    return {
        "model-index": [
            {"name": config.architecture, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}
        ]
    }


def copy_body(given: Model, model: Detector) -> None:
    """Copy the body's weights into a detector, and those of its head from a detector where they have equal shapes.

    Raises BundleError where the body does not fit."""
    for layer, spec in model.detection.body(model.net).body.items():
        if given.net.body.get(layer) != spec:
            raise BundleError(f"The weights belong to another table called {given.net.name!r}: layer {layer} differs.")
    expected = model.state_dict()
    same = {name: tensor for name, tensor in given.state_dict().items() if name in expected}
    model.load_state_dict(
        {name: each for name, each in same.items() if each.shape == expected[name].shape}, strict=False
    )


def copy_weights(given: Model, model: Model) -> None:
    """Copy weights of the same network into `model`: the body, and the heads that both have with equal shapes.

    Raises BundleError where the body does not fit."""
    from inceptorch.models.weights import adapt_channels

    for layer in {**given.net.body, **model.net.body}:
        if given.net.body.get(layer) != model.net.body.get(layer):
            raise BundleError(
                f"Cannot load these weights: their network is also called {given.net.name!r}, but its layer {layer} "
                "differs. Try the table that they were trained with."
            )
    tensors, expected = given.state_dict(), model.state_dict()
    stem = next(name for name in tensors if name.startswith("body.") and tensors[name].ndim == 4)
    if given.in_chans != model.in_chans and "depthwise" in stem:
        raise BundleError(
            f"{given.net.name} begins with a separable convolution, whose weights for {given.in_chans} channels "
            f"cannot serve {model.in_chans}."
        )
    tensors[stem] = adapt_channels(tensors[stem], model.in_chans)
    for name, tensor in list(tensors.items()):
        if name in expected and tensor.shape == expected[name].shape:
            continue
        if not name.startswith(("aux.", "head.linear.")):
            raise BundleError(
                f"The weights were made for images of {given.size}x{given.size}, on which the fully connected layers "
                f"of {given.net.name} depend; they do not fit {model.size}x{model.size}."
            )
        del tensors[name]
    model.load_state_dict(tensors, strict=False)


def evaluation_tensors(model: Model) -> dict[str, Tensor]:
    """All tensors but those of the auxiliary heads, which the papers discard after training."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("aux.")}


def _in_words(value: Any) -> str:
    """A value of the model card: `threshold 0.36, coverage 0.95` of several."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_in_words(each)}" for key, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
