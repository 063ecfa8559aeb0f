"""A classifier and its folder on disk: `config.json`, `model.safetensors`, `README.md`.

The layout is that of the Hugging Face hub and of timm. A run folder is a bundle with more beside it, so `load` takes
both. torch is imported when a classifier is loaded, not with this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast, overload

import numpy as np
import yaml
from numpy.typing import NDArray

from inceptorch.classifier.config import CARD, CONFIG, WEIGHTS, ClassifierConfig, Metadata, read_config
from inceptorch.errors import BundleError, TableError
from inceptorch.images.crops import CENTER
from inceptorch.images.decode import ImageInput
from inceptorch.images.preprocessing import ImageArray, Preprocessing
from inceptorch.utils.files import new_folder, write_text
from inceptorch.utils.html import render

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inceptorch.models.module import Model


HUB_LICENSES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc0-1.0"}


class TopClass(TypedDict):
    """One of the most probable classes of an image."""

    label: str
    index: int
    probability: float


@dataclass(repr=False)
class Classifier:
    """A model with its config: everything needed to say what is in an image. The model may also be any module of the
    caller's own that gives logits; it can be trained, evaluated and saved, not exported."""

    model: Model
    config: ClassifierConfig

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
        """The classifier of a model; `aux_heads` says that its bundle keeps the auxiliary heads, where it has any."""
        from inceptorch.models.module import Model

        own = not isinstance(model, Model)
        spec = f"{type(model).__module__}.{type(model).__qualname__}" if own else model.net
        keep = not own and aux_heads and bool(model.aux)
        return cls(model, ClassifierConfig(spec, preprocessing, list(classes), metadata or Metadata(), keep))

    @property
    def classes(self) -> list[str]:
        return self.config.classes

    @property
    def preprocessing(self) -> Preprocessing:
        return self.config.preprocessing

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:3]) + (", ..." if len(self.classes) > 3 else "")
        size = self.preprocessing.size
        return (
            f"Classifier {self.config.architecture}, {len(self.classes)} classes: {names}\n"
            f"input {size}x{size} {self.preprocessing.channels}, on {next(self.model.parameters()).device}"
        )

    @overload
    def predict(self, images: ImageInput, top: int = 5) -> list[TopClass]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, images: Iterable[ImageInput], top: int = 5) -> list[list[TopClass]]: ...
    def predict(self, images: ImageInput | Iterable[ImageInput], top: int = 5) -> list[TopClass] | list[list[TopClass]]:
        """The `top` most probable classes of one image, best first; for several images, a list of such lists.

        An image is what `inceptorch.predict` takes, and its answer the same. Raises ImageError for one that cannot be
        read.
        """
        from inceptorch.images.inputs import is_one_image, load_image
        from inceptorch.inference.predictor import Predictor

        if is_one_image(images):
            return self.predict([images], top)[0]  # type: ignore[list-item]
        predictor = Predictor.of(self, device=next(self.model.parameters()).device)
        return [prediction.top(top) for prediction in predictor.stream(images, load_image)]  # type: ignore[arg-type]

    def logits(
        self, crops: Sequence[ImageArray] | NDArray[np.uint8], forward: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """What the model, or `forward`, makes of one batch of uint8 crops [N, S, S, 3]: float32 [N, outputs] on the
        CPU."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            out = (forward or self.model)(self.prepare(crops))
        return out.float().cpu()

    def prepare(self, crops: Sequence[ImageArray] | NDArray[np.uint8]) -> Tensor:
        """One batch of uint8 crops [N, S, S, 3] as the network takes it: float32 [N, C, S, S] on the model's device."""
        import torch

        from inceptorch.models.normalize import Normalize

        device = next(self.model.parameters()).device
        batch = torch.from_numpy(np.array(crops)).permute(0, 3, 1, 2).to(device)  # channels last in memory
        scaled: Tensor = Normalize(self.preprocessing).to(device)(batch)
        return scaled

    def to_best_device(self) -> Classifier:
        """The same classifier, its model moved to the GPU if there is one."""
        from inceptorch.runtime.device import best_device

        self.model.to(best_device())
        return self

    def save(self, folder: str | Path) -> None:
        """Write the three files of the bundle into a new folder. Raises RunError if it is in use."""
        with new_folder(Path(folder)) as new:
            self.write(new)

    def write(self, folder: Path) -> None:
        """Write the three files of the bundle into `folder`, replacing those there one by one."""
        from inceptorch.models.weights import write_safetensors

        whole = self.config.aux_heads or self.config.is_custom
        tensors = self.model.state_dict() if whole else evaluation_tensors(self.model)
        write_safetensors(folder / WEIGHTS, tensors, {"format": "pt"})
        config = self.config.to_dict()
        if not self.config.is_custom:
            config["num_features"] = self.model.num_features  # which timm's loaders want
        write_text(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / CARD, self.card())

    def card(self) -> str:
        """The model card, `README.md`."""
        config = self.config
        front = {
            "library_name": "inceptorch",
            "pipeline_tag": "image-classification",
            "tags": ["image-classification", "inception", config.architecture],
            **_license(config.metadata.license or ""),
        }
        return render(
            "utils/templates/bundle.md",
            front_matter=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            name=config.architecture,
            net=None if config.is_custom else config.network,
            classes=config.classes,
            crops=CENTER.describe(config.preprocessing),
            preprocessing=config.preprocessing,
            metadata={_spaced(name): _in_words(value) for name, value in config.metadata.to_dict().items()},
        )


def load(path: str | Path, model: nn.Module | None = None) -> Classifier:
    """The classifier in a bundle or run folder, ready to predict on the CPU. Weights of a module of the caller's own are
    loaded into `model`, which is to be such a module.

    Raises BundleError if a file is missing or damaged, or if `config.json` and the weights contradict each other.
    """
    import torch

    from inceptorch.models.module import Model
    from inceptorch.models.weights import fit, read_safetensors

    folder = Path(path)
    config = read_config(folder, custom=model is not None)
    if model is None:
        size, channels = config.preprocessing.size, config.preprocessing.in_chans
        try:
            made = Model(
                config.network, len(config.classes), channels, aux=config.aux_heads, size=size, initialize=False
            )
        except TableError as error:
            raise BundleError(f"{folder / CONFIG}: {error}") from None
        model = made.to(memory_format=torch.channels_last)
    fit(model, read_safetensors(folder / WEIGHTS), folder / WEIGHTS)
    return Classifier(cast("Model", model.eval()), config)


def copy_weights(given: Model, model: Model) -> None:
    """Copy weights of the same network into `model`: the body, the auxiliary heads that both have and that fit, and the
    classifiers where there are as many classes. Raises BundleError where the rest does not fit."""
    from inceptorch.models.weights import adapt_channels

    for row in {**given.net.body, **model.net.body}:
        if given.net.body.get(row) != model.net.body.get(row):
            raise BundleError(f"The weights belong to another table called {given.net.name!r}: row {row} differs.")
    tensors, wanted = given.state_dict(), model.state_dict()
    stem = next(name for name in tensors if name.startswith("body.") and tensors[name].ndim == 4)
    if given.in_chans != model.in_chans and "depthwise" in stem:
        raise BundleError(
            f"{given.net.name} begins with a separable convolution, whose weights for {given.in_chans} channels "
            f"cannot serve {model.in_chans}."
        )
    tensors[stem] = adapt_channels(tensors[stem], model.in_chans)
    for name, tensor in list(tensors.items()):
        if name in wanted and tensor.shape == wanted[name].shape:
            continue
        if not name.startswith(("aux.", "head.linear.")):
            raise BundleError(
                f"The weights were made for images of {given.size}x{given.size}, on which the fully connected layers "
                f"of {given.net.name} depend; they do not fit {model.size}x{model.size}."
            )
        del tensors[name]
    model.load_state_dict(tensors, strict=False)


def evaluation_tensors(model: Model) -> dict[str, Tensor]:
    """The tensors of the evaluation network: all but the auxiliary heads, which the papers discard after training."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("aux.")}


def _license(name: str) -> dict[str, str]:
    """The license as the hub's front matter names it; nothing where it is not known."""
    if name.lower() in HUB_LICENSES:
        return {"license": name.lower()}
    return {} if name.lower() in ("", "none", "not stated") else {"license": "other", "license_name": name}


def _in_words(value: Any) -> str:
    """A remark of the model card: `below 0.36, answered 0.95` of several figures."""
    if not isinstance(value, dict):
        return str(value)
    parts = ((key, f"{part:.4g}" if isinstance(part, float) else str(part)) for key, part in value.items())
    return ", ".join(f"{_spaced(key)} {part}" for key, part in parts)


def _spaced(name: str) -> str:
    return name.replace("_", " ")
