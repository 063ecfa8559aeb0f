"""A classifier and its folder on disk: `config.json`, `model.safetensors`, `README.md`.

The layout is that of the Hugging Face hub and of timm. A run folder is a bundle with more beside it, so `load` takes
both. torch is imported when a classifier is loaded, not with this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast, overload

import numpy as np
import yaml
from msgspec import Meta
from numpy.typing import NDArray

from inceptorch.errors import BundleError, TableError
from inceptorch.images.preprocessing import Picture, Pixels, Square
from inceptorch.networks import serialization
from inceptorch.networks.zoo import get_network
from inceptorch.utils.files import new_folder, reading, write_text
from inceptorch.utils.html import render
from inceptorch.utils.validation import build, check_fields

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inceptorch.models.module import Model
    from inceptorch.networks.network import NetworkSpec

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
HUB_LICENSES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc0-1.0"}
FORMAT = 2  # of config.json; format 1 had no table of the network in it
BATCH = 16  # pictures that go through a network together


class Prediction(TypedDict):
    label: str
    index: int
    probability: float


@dataclass
class Classifier:
    """A model, its pixel contract and its class names: everything needed to say what is in a picture. The model may also be
    any module of the caller's own that gives logits; it can be trained, evaluated and saved, not exported.

    about     what else the model card says: where the weights come from, what they scored, their licence
    keep_aux  the bundle keeps the auxiliary heads, as published weights have them; the papers discard them after
              training, and so does a run
    """

    model: Model
    pixels: Pixels
    classes: list[str]
    about: dict[str, Any] = field(default_factory=dict)
    keep_aux: bool = False

    @overload
    def predict(self, pictures: Picture, top: int = 5) -> list[Prediction]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, pictures: Sequence[Picture], top: int = 5) -> list[list[Prediction]]: ...
    def predict(self, pictures: Picture | Sequence[Picture], top: int = 5) -> list[Prediction] | list[list[Prediction]]:
        """The `top` most probable classes of one picture, best first; for a list of pictures, a list of such lists.

        A picture is a path, the bytes of a file, a Pillow image or a uint8 array [H, W] or [H, W, 3]. Raises
        ImageError for one that cannot be read.
        """
        if not isinstance(pictures, list | tuple):
            return self.predict([pictures], top)[0]  # type: ignore[list-item]
        answers: list[list[Prediction]] = []
        for start in range(0, len(pictures), BATCH):
            squares = [self.pixels.square(picture) for picture in pictures[start : start + BATCH]]
            answers += [top_classes(row, self.classes, top) for row in self.probabilities(squares)]
        return answers

    def probabilities(self, squares: Sequence[Square]) -> list[list[float]]:
        """Class probabilities [N][classes] of one batch of uint8 squares [S, S, 3]; of none, an empty list."""
        probabilities: list[list[float]] = self.outputs(squares).softmax(1).tolist() if squares else []
        return probabilities

    def logits(self, squares: NDArray[np.uint8]) -> NDArray[np.floating]:
        """Logits float32 [N, classes] of one batch of uint8 squares [N, S, S, 3]."""
        logits: NDArray[np.floating] = self.outputs(squares).numpy()
        return logits

    def outputs(
        self, squares: Sequence[Square] | NDArray[np.uint8], forward: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """What `forward` (by default the model, which gives logits) makes of one batch of uint8 squares [S, S, 3]:
        float32 [N, outputs] on the CPU."""
        import torch

        self.model.eval()
        with torch.inference_mode():
            out = (forward or self.model)(self.network_input(squares))
        return out.float().cpu()

    def network_input(self, squares: Sequence[Square] | NDArray[np.uint8]) -> Tensor:
        """One batch of uint8 squares [S, S, 3] as the network takes it: float32 [N, C, S, S] on the model's device."""
        import torch

        from inceptorch.models.normalize import Scale

        device = next(self.model.parameters()).device
        batch = torch.from_numpy(np.array(squares)).permute(0, 3, 1, 2).to(device)  # channels last in memory
        scaled: Tensor = Scale(self.pixels).to(device)(batch)
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

        whole = self.keep_aux or self.is_custom
        tensors = self.model.state_dict() if whole else evaluation_tensors(self.model)
        write_safetensors(folder / WEIGHTS, tensors, {"format": "pt"})
        write_text(folder / CONFIG, json.dumps(self.config(), indent=2, ensure_ascii=False) + "\n")
        write_text(folder / CARD, self.card())

    @property
    def is_custom(self) -> bool:
        """Whether the model is a module of the caller's own, which no table describes."""
        from inceptorch.models.module import Model

        return not isinstance(self.model, Model)

    def config(self) -> dict[str, Any]:
        """What `config.json` holds."""
        network: dict[str, Any] = {"custom": True}
        if not self.is_custom:
            network = {
                "network": serialization.to_plain(self.model.net),
                "aux_heads": self.keep_aux and bool(self.model.aux),
                "num_features": self.model.num_features,
            }
        return {
            "format": FORMAT,
            "library_name": "inceptorch",
            "architecture": architecture_of(self.model),
            **network,
            "num_classes": len(self.classes),
            "in_chans": self.pixels.in_chans,
            "pixels": self.pixels.to_dict(),
            "label_names": self.classes,
            "about": self.about,
        }

    def card(self) -> str:
        """The model card, `README.md`."""
        name = architecture_of(self.model)
        front = {
            "library_name": "inceptorch",
            "pipeline_tag": "image-classification",
            "tags": ["image-classification", "inception", name],
            **_license(str(self.about.get("license") or self.about.get("licence") or "")),
        }
        return render(
            "utils/templates/bundle.md",
            front_matter=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            name=name,
            net=None if self.is_custom else self.model.net,
            classes=self.classes,
            pixels=self.pixels,
            about={key: _in_words(value) for key, value in self.about.items()},
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
    config = read_config(folder)
    if model is not None:
        described = describe(config, folder / CONFIG, custom=True)
        fit(model, read_safetensors(folder / WEIGHTS), folder / WEIGHTS)
        return Classifier(cast("Model", model.eval()), described.pixels, described.classes, described.about)
    described = describe(config, folder / CONFIG)
    aux = config.get("aux_heads") is True
    net, pixels, classes = described.net, described.pixels, described.classes
    try:
        model = Model(net, len(classes), pixels.in_chans, aux=aux, size=pixels.size, initialise=False)
    except TableError as error:
        raise BundleError(f"{folder / CONFIG}: {error}") from None
    fit(model, read_safetensors(folder / WEIGHTS), folder / WEIGHTS)
    model = model.to(memory_format=torch.channels_last).eval()
    return Classifier(model, pixels, classes, described.about, keep_aux=aux)


def read_config(folder: Path) -> dict[str, Any]:
    """What the `config.json` of a bundle or run holds. Raises BundleError if there is no bundle."""
    if (folder.suffix == ".onnx" and not folder.is_dir()) or (folder / "model.xml").exists():
        raise BundleError(
            f"{folder} is an exported file, which cannot be changed or looked into; name the bundle that it was made of."
        )
    if not folder.is_dir():
        what = "is a file, not a folder with a classifier in it" if folder.exists() else "does not exist"
        raise BundleError(
            f"{folder} {what}; name a run or a bundle, such as `inceptorch train` or `convert` make, an exported file, or "
            "published weights, see `inceptorch weights`."
        )
    if not (folder / CONFIG).exists():
        unfinished = (folder / "run.yaml").exists()
        remedy = f"finish it with: inceptorch train --resume {folder}" if unfinished else "it is no run and no bundle"
        raise BundleError(f"{folder} has no {CONFIG}: {remedy}.")
    return _read_json(folder / CONFIG)


@dataclass(frozen=True)
class Description:
    """What a classifier is, without its weights."""

    net: NetworkSpec
    pixels: Pixels
    classes: list[str]
    about: dict[str, Any]


def describe(config: dict[str, Any], source: str | Path, custom: bool = False) -> Description:
    """The classifier that a config describes; `source` is named where it is wrong. With `custom`, the model is a module
    that the caller has. Raises BundleError."""
    try:
        found = build(_Config, config, "The file", BundleError, more=True)
        if found.custom and not custom:
            raise BundleError(
                f"the weights are those of {found.architecture}, a module of the trainer's own. "
                "Try inceptorch.load(FOLDER, model=...)."
            )
        by_name = found.format == 1  # which had no table of the network in it
        net = cast(NetworkSpec, None)  # a module of the caller's own
        if not custom:
            net = get_network(found.architecture) if by_name else serialization.from_plain(found.network)
        pixels = Pixels.from_dict(found.pixels)
    except (BundleError, TableError) as error:
        raise BundleError(f"{source}: {error}") from None
    return Description(net, pixels, found.label_names, found.about)


@dataclass
class _Config:
    """What is read of a `config.json`; others' programs may find more in it."""

    format: Annotated[Literal[1, 2], Meta(description="1 or 2 for this version of inceptorch to read it")]
    num_classes: int
    pixels: dict[str, Any]
    label_names: Annotated[list[str], Meta(min_length=1, description="a list of class names")]
    architecture: str = ""
    custom: bool = False
    network: Any = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, BundleError)
        if any("\ud800" <= letter <= "\udfff" for name in self.label_names for letter in name):
            raise BundleError("label_names must be a list of class names that UTF-8 can hold.")
        if len(set(self.label_names)) < len(self.label_names):
            raise BundleError("label_names has a name twice.")
        if self.num_classes != len(self.label_names):
            raise BundleError(f"num_classes is {self.num_classes}, but label_names has {len(self.label_names)} names.")


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
                f"The weights were made for pictures of {given.size}x{given.size}, on which the fully connected layers "
                f"of {given.net.name} depend; they do not fit {model.size}x{model.size}."
            )
        del tensors[name]
    model.load_state_dict(tensors, strict=False)


def architecture_of(model: nn.Module) -> str:
    """The name of the network, or of the caller's own class."""
    from inceptorch.models.module import Model

    return model.net.name if isinstance(model, Model) else f"{type(model).__module__}.{type(model).__qualname__}"


def evaluation_tensors(model: Model) -> dict[str, Tensor]:
    """The tensors of the evaluation network: all but the auxiliary heads, which the papers discard after training."""
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("aux.")}


def top_classes(probabilities: Sequence[float], classes: Sequence[str], top: int) -> list[Prediction]:
    """The `top` most probable classes, best first; equal ones in the order of the class list."""
    order: Iterable[int] = sorted(range(len(classes)), key=lambda index: (-probabilities[index], index))[: max(top, 1)]
    return [Prediction(label=classes[i], index=i, probability=probabilities[i]) for i in order]


def not_finite() -> BundleError:
    """What is wrong with a network whose answers are nan or infinite: comparisons with nan would make any look right."""
    return BundleError(
        "The network's answers are not finite numbers: its weights are damaged, or training diverged, as at too high a rate."
    )


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
    return ", ".join(f"{key.replace('_', ' ')} {part}" for key, part in parts)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises BundleError."""
    try:
        with reading(path, BundleError):
            value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON, or is damaged: {error}.") from None
    if not isinstance(value, dict):
        raise BundleError(f"{path} must hold a JSON object.")
    return value
