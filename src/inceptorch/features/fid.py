"""FID and its kin between two sets of images, by the convention of one of the packages that computed it before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from inceptorch.classifier.classifier import Classifier, evaluation_tensors
from inceptorch.classifier.convert.import_weights import read_weights
from inceptorch.classifier.hub import load
from inceptorch.data.locator import ensure_outside
from inceptorch.data.verify import Skipped
from inceptorch.errors import BundleError, DataError, RunError
from inceptorch.features.conventions import NETWORK, Convention, get_convention
from inceptorch.features.extract import Extraction
from inceptorch.features.extractors import open_extractor
from inceptorch.features.frechet import frechet_distance
from inceptorch.features.inception_score import inception_score as score_of
from inceptorch.features.infinity import frechet_infinity
from inceptorch.features.kernel import kernel_distance
from inceptorch.features.precision_recall import hits
from inceptorch.features.remarks import remarks
from inceptorch.features.sides import STATISTICS, Images, Opened, is_statistics, open_side, open_statistics
from inceptorch.features.statistics import save_statistics
from inceptorch.inference.engines.formats import is_exported
from inceptorch.tasks.metrics import wilson_interval
from inceptorch.utils.files import require_writable
from inceptorch.utils.progress import Progress
from inceptorch.utils.tensors import sha256

PUBLISHED = "inception_v3_fid.pytorch_fid"

Interval = tuple[float, float]


@dataclass(frozen=True)
class FIDResult:
    """Measures between two sets of images, with what must be known to compare them with others.

    fid            the Fréchet distance; with a network other than the usual one it is no FID, and `network` says so
    convention     "pytorch-fid", "clean-fid" or "torch-fidelity"
    network        whose features they are, with `weights`, the sha256 of its tensors
    engine         what computed the features
    n              numbers of images, None where a file of statistics does not say it
    formats        of the files of both sides, with their numbers; empty where not known
    kid, kid_std   Kernel Inception Distance, and its deviation between subsets; None, as the others, unless requested
    precision      the fraction of A's images among B's
    recall         the fraction of B's images among A's
    inception_score, inception_score_std   of A, and its deviation between parts
    fid_infinity   FID of infinitely many images of A
    intervals      of 95 %, by the name of the measure; without those that cannot be resampled
    warnings       sentences on what makes the measures hard to compare
    skipped        images that cannot be read, which were left out
    """

    fid: float
    convention: str
    network: str
    weights: str
    engine: str
    n: tuple[int | None, int | None]
    formats: tuple[dict[str, int], dict[str, int]]
    kid: float | None = None
    kid_std: float | None = None
    precision: float | None = None
    recall: float | None = None
    inception_score: float | None = None
    inception_score_std: float | None = None
    fid_infinity: float | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; measures that were not requested are left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def fid(
    a: Images,
    b: Images,
    *,
    convention: str = "pytorch-fid",
    weights: str | Path | Classifier | None = None,
    split_a: str | None = None,
    split_b: str | None = None,
    kid: bool = False,
    precision_recall: bool = False,
    inception_score: bool = False,
    infinity: bool = False,
    save: str | Path | None = None,
    engine: str = "auto",
    progress: Progress | None = None,
) -> FIDResult:
    """The Fréchet Inception Distance between two sets of images, and what else is requested.

    a, b        a folder or zip of images with or without classes, a list, shards, "torchvision:NAME", or an .npz of
                statistics; in memory, a uint8 batch [N, H, W, 3] (torch: [N, 3, H, W]), or an iterable of images or of
                such batches, such as those that a generator makes. A is the generated side
    convention  "pytorch-fid", "clean-fid" or "torch-fidelity", whose resizing, scaling and statistics are followed
    weights     a .pth file of pytorch-fid's state dict, a bundle, published weights by name, or a classifier; by
                default those of pytorch-fid. Another network than theirs gives a distance that is no FID
    split_a, split_b   "train", "val" or "test" of data that is divided; by default all of it
    kid, precision_recall, inception_score, infinity   further measures, from the same features
    save        an .npz for the statistics of A
    engine      "auto", "torch", "onnxruntime" or "openvino", in fp32, with features that agree with torch's to 1e-4

    Features of files are kept in the cache folder and used again. Raises DataError for data that cannot be compared,
    and BundleError for unusable weights.
    """
    progress, rules = progress or Progress(), get_convention(convention)
    measures = {"kid": kid, "precision": precision_recall, "score": inception_score, "infinity": infinity}
    wanted = {name for name, value in measures.items() if value}
    _check(a, b, wanted, save)
    classifier = _with_scaling(_open_weights(weights), rules)
    about = {"convention": convention, "network": classifier.config.architecture, "weights": _hash(classifier)}
    dim, size = classifier.model.num_features, classifier.preprocessing.size
    known = [open_statistics(Path(str(each)), about, dim) if is_statistics(each) else None for each in (a, b)]
    extractor = open_extractor(classifier, engine, progress)
    extraction = Extraction(extractor, lambda image: rules.resize(image, size), {**about, "engine": extractor.name})
    with TemporaryDirectory(prefix="inceptorch-") as folder:
        one, two = (
            opened or open_side(each, label, split, extraction, rules, about, Path(folder), progress)
            for opened, each, label, split in zip(known, (a, b), ("A", "B"), (split_a, split_b), strict=True)
        )
        if save is not None:
            save_statistics(one.side.statistics, Path(save))
        result = _compare(one, two, {**about, "engine": extractor.name}, size)
        return _measured(result, one, two, rules, classifier, wanted)


def _check(a: Images, b: Images, wanted: set[str], save: str | Path | None) -> None:
    """Raise what can be known before anything is computed."""
    for each, needed in ((a, wanted), (b, wanted - {"score", "infinity"})):
        if is_statistics(each) and needed:
            raise DataError(f"Cannot compute more than FID with {each}: it holds statistics. Name its images.")
    if save is None:
        return
    require_writable(Path(save), [STATISTICS], option="--save")
    if is_statistics(a):
        raise RunError(f"Cannot save the statistics of {a}: it holds them already. Leave out --save.")
    for each in (a, b):
        if isinstance(each, str | Path):
            ensure_outside(Path(save), each)


def _open_weights(weights: str | Path | Classifier | None) -> Classifier:
    """Raises BundleError for a detector, and for an exported file, which ends in classes and may be in int8."""
    if isinstance(weights, Classifier):
        classifier = weights
    elif weights is not None and Path(weights).is_file() and not is_exported(weights):
        classifier = read_weights(Path(weights))
    elif weights is not None and is_exported(weights):
        raise BundleError(
            f"Cannot take features of {weights}: it is an exported file. Name the bundle or file of weights."
        )
    else:
        classifier = load(PUBLISHED if weights is None else weights)
    if classifier.config.detection is not None or classifier.config.is_custom:
        what = "a custom module" if classifier.config.is_custom else "a detector"
        raise BundleError(f"Cannot take features of {classifier.config.architecture}: it is {what}. Name a classifier.")
    return classifier


def _with_scaling(classifier: Classifier, rules: Convention) -> Classifier:
    """The classifier with the scaling of a convention; networks other than FID's keep their own."""
    if classifier.config.architecture != NETWORK:
        return classifier
    mean, std = (rules.mean,) * 3, (rules.std,) * 3
    config = replace(classifier.config, preprocessing=replace(classifier.preprocessing, mean=mean, std=std))
    return Classifier(classifier.model, config)


def _hash(classifier: Classifier) -> str:
    tensors = {name: each.detach().cpu().contiguous() for name, each in evaluation_tensors(classifier.model).items()}
    return sha256(tensors, {}, torch.uint8)


def _compare(one: Opened, two: Opened, about: Mapping[str, str], size: int) -> FIDResult:
    """The distance alone, and what must be known of it."""
    distance = frechet_distance(one.side, two.side)
    return FIDResult(
        distance.value,
        about["convention"],
        about["network"],
        about["weights"],
        about["engine"],
        n=(one.side.statistics.n, two.side.statistics.n),
        formats=(one.formats, two.formats),
        intervals={} if distance.interval is None else {"fid": distance.interval},
        warnings=remarks(one, two, about, size),
        skipped=[*one.skipped, *two.skipped],
    )


def _measured(
    result: FIDResult, one: Opened, two: Opened, rules: Convention, classifier: Classifier, wanted: set[str]
) -> FIDResult:
    """The result with the further measures."""
    values: dict[str, Any] = {}
    intervals = dict(result.intervals)
    if "kid" in wanted:
        kid = kernel_distance(one.features, two.features, smaller=rules.small_kid)
        values |= {"kid": kid.value, "kid_std": kid.std}
        intervals["kid"] = kid.interval
    if "precision" in wanted:
        for name, count, n in zip(("precision", "recall"), hits(one.features, two.features), result.n, strict=True):
            values[name] = count / (n or 1)
            intervals[name] = wilson_interval(count, n or 1)
    if "score" in wanted:
        score = score_of(one.features, classifier.model.get_classifier().weight.detach().cpu().numpy())
        values |= {"inception_score": score.value, "inception_score_std": score.std}
        intervals["inception_score"] = score.interval
    if "infinity" in wanted:
        line = frechet_infinity(one.side, two.side, intervals["fid"])
        values["fid_infinity"] = line.value
        intervals["fid_infinity"] = line.interval or (line.value, line.value)
    return replace(result, intervals=intervals, **values)
