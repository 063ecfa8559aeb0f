"""The studies: a question, the arms that are trained, what the papers claim of them. `studies.yaml` is the list.

Seeds are paired: a seed gives every arm of a study the same split and the same order of the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inceptorch.errors import RunError, did_you_mean
from inceptorch.papers.studies.networks import NETWORKS, Network
from inceptorch.papers.studies.statistics import Prediction
from inceptorch.training.recipe import SCRATCH, Recipe, with_values
from inceptorch.utils.files import load_yaml

Results = dict[str, Any]  # the JSON form of a study's outcome; fractions of images are 0..1


@dataclass(frozen=True)
class Arm:
    """One way of training.

    net         the network's table for images of that size in pixels
    settings    values of the recipe that are this arm's own
    lr_scale    factor on the recipe's learning rate
    size_scale  factor on the study's image size
    """

    name: str
    what: str
    net: Network
    settings: Mapping[str, Any] = field(default_factory=dict)
    lr_scale: float = 1.0
    size_scale: float = 1.0


@dataclass(frozen=True)
class Claim:
    """What a paper says of one arm beside another.

    says      in our words
    printed   the paper's figure, "" if it prints none
    predicts  of the top-1 accuracy of arm `of` against that of arm `against`
    margin    of "not worse" and "equal": the fraction of the images that does not matter
    at        fraction of the run after which they are compared
    """

    of: str
    against: str
    says: str
    source: str
    printed: str = ""
    predicts: Prediction = "better"
    margin: float = 0.0
    at: float = 1.0


@dataclass(frozen=True)
class Study:
    """A question, its arms, the claims that they put to the test, and how this differs from the papers' experiments."""

    name: str
    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    differs: str
    recipe: Recipe
    size: int = 32
    gradients: bool = False  # whether the norms of the gradient by layer are part of the outcome


RECIPE = replace(
    with_values(SCRATCH, {"batch_size": 64, "lr": 0.05, "label_smoothing": 0.0, "crop_scale": (0.5, 1.0)}),
    name="study",
    source="`scratch` without label smoothing, for short runs on small images",
)


def _read(path: Path) -> dict[str, Study]:
    studies = {}
    for name, values in load_yaml(path, RunError, "as in the package").items():
        arms = [Arm(arm, **{**each, "net": NETWORKS[each["net"]]}) for arm, each in values.pop("arms").items()]
        claims = [Claim(**each) for each in values.pop("claims")]
        recipe = with_values(RECIPE, values.pop("recipe", {}))
        studies[name] = Study(name, arms=tuple(arms), claims=tuple(claims), recipe=recipe, **values)
    return studies


DETECTION = "detection-2014"  # the study of another kind, in a package of its own
DETECTION_QUESTION = "How much did proposals, context, box regression and several networks bring to detection in 2014?"
STUDIES = _read(Path(__file__).with_name("studies.yaml"))


def get_study(name: str) -> Study:
    """The study called `name`. Raises RunError."""
    if name not in STUDIES:
        raise RunError(f"There is no study {name!r}: {did_you_mean(name, (*STUDIES, DETECTION))}")
    return STUDIES[name]
