"""Judging a classifier on labelled pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inceptorch.bundle import Classifier
from inceptorch.data import Skipped, Split, find_split, fingerprint, stratified, without_unreadable
from inceptorch.errors import BundleError
from inceptorch.metrics import Floats, Scores, log_softmax, scores
from inceptorch.progress import Progress
from inceptorch.zoo import load

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8
MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Mistake:
    """A picture whose first answer was wrong. `label` and `predicted` are class names."""

    index: int
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Evaluation(Scores):
    """Scores, how they were got, what was left out, and the mistakes, the most confident first."""

    protocol: str
    skipped: list[Skipped]
    split: Split
    mistakes: list[Mistake]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: {"n", "top1", "top5", "loss", "protocol", "per_class", "skipped"}, fractions 0..1."""
        names = ("n", "top1", "top5", "loss", "protocol", "per_class", "skipped")
        return {name: getattr(self, name) for name in names}


def evaluate(
    model: Classifier | str | Path, data: str | Path, split: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Judge a classifier (or the bundle or run at that path) on DATA, as `data.find_split` takes it.

    `split` is "train", "val" or "test"; by default DATA's test folder, else its val, else its train folder, else DATA
    itself. Of a folder that training itself divided, only the held-out part is judged. Pictures that cannot be read are
    left out and listed. Raises DataError where a class of DATA is none of the classifier's.
    """
    progress = progress or Progress()
    classifier = model if isinstance(model, Classifier) else load(model).to_best_device()
    pictures = find_split(data, classifier.classes, split)
    if split is None:
        pictures = _not_trained_on(classifier, pictures, progress)
    pictures, skipped = without_unreadable(pictures, progress)
    progress.say(f"judging {len(pictures)} pictures" + (f" of {pictures.name}" if pictures.name else ""))
    return judge(classifier, pictures, skipped, progress)


def _not_trained_on(classifier: Classifier, pictures: Split, progress: Progress) -> Split:
    """Of the very pictures that training divided into two parts, the part that it held out; of others, all."""
    drawn = classifier.about.get("split")
    if not isinstance(drawn, dict) or drawn.get("fingerprint") != fingerprint(pictures):
        return pictures
    _, held_out = stratified(pictures, float(drawn["share"]), int(drawn["seed"]))
    progress.say(f"these pictures were trained on; judging the {len(held_out)} of them that training held out")
    return held_out


def judge(classifier: Classifier, split: Split, skipped: list[Skipped], progress: Progress) -> Evaluation:
    """Judge a classifier on readable pictures whose labels index its classes."""
    logits = outputs_of(classifier, split, progress, "judging").numpy()
    return judgement(logits, classifier.classes, split, skipped, classifier.pixels.describe())


def judgement(
    logits: Floats, classes: Sequence[str], split: Split, skipped: list[Skipped], protocol: str
) -> Evaluation:
    """The evaluation that logits [N, classes] of the pictures of a split amount to. Raises BundleError if they are not
    all finite: comparisons with nan would make every answer look right."""
    if not np.isfinite(logits).all():
        raise BundleError(
            "The network's answers are not finite numbers: its weights are damaged, or training diverged."
        )
    labels = split.labels
    probabilities = np.exp(log_softmax(logits))
    answers = logits.argmax(1)
    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")]
    mistakes = [
        Mistake(int(i), classes[labels[i]], classes[answers[i]], float(probabilities[i, answers[i]])) for i in wrong
    ]
    return Evaluation(
        **vars(scores(logits, labels, classes)), protocol=protocol, skipped=skipped, split=split, mistakes=mistakes
    )


def outputs_of(
    classifier: Classifier,
    split: Split,
    progress: Progress,
    what: str,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """What `forward` (by default the model) makes of every picture of a split: [N, outputs] on the CPU, in its order.

    On a CPU several batches go through at once, each on few cores: decoding then never makes the network wait, and
    small batches stay in the cache.
    """
    import torch

    cores = torch.get_num_threads()
    at_once = min(cores, MOST_AT_ONCE)

    def one(indices: range) -> Tensor:
        return classifier.outputs([split.square(index, classifier.pixels) for index in indices], forward)

    starts = range(0, len(split), BATCH)
    tasks = [range(start, min(start + BATCH, len(split))) for start in starts]
    try:
        with ThreadPoolExecutor(at_once, initializer=lambda: torch.set_num_threads(max(1, cores // at_once))) as pool:
            return torch.cat(list(progress.track(pool.map(one, tasks), len(tasks), what)))
    finally:
        torch.set_num_threads(cores)
