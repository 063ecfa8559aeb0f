"""GoogLeNet's detection entry of 2014 on a few hundred images: proposals, a classifier of regions, several networks.

OUT/settings.json            the settings, which all that is in OUT shares
OUT/proposals/SPLIT-PART     the proposals, OUT/networks/NUMBER the networks' answers: finished ones are read back
OUT/maps/                    the maps of the bodies while they are needed
OUT/study.json .md .png      the results
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.data import find_split, find_train_and_val, fingerprint, without_unreadable
from inceptorch.data.box_split import BoxSplit, describe_problems
from inceptorch.data.locator import absolute, ensure_outside, short_name
from inceptorch.data.resolve import open_splits
from inceptorch.errors import DataError, RunError, did_you_mean
from inceptorch.evaluation.detection import evaluate_boxes, map50_gain
from inceptorch.images.boxes import Boxes
from inceptorch.models.detector import Detector
from inceptorch.models.weights import read_safetensors, write_safetensors
from inceptorch.papers.studies.detection_2014 import page
from inceptorch.papers.studies.detection_2014.maps import Corners, ImageMaps, View, body_of, image_maps
from inceptorch.papers.studies.detection_2014.networks import NETWORKS, Answers, answers, detections
from inceptorch.papers.studies.detection_2014.proposals import (
    COUNTS,
    SETS,
    SUPERPIXELS,
    coverage,
    grid,
    learned,
    opencv,
    selective_search,
    shuffled,
    train_learned,
)
from inceptorch.papers.studies.detection_2014.rows import CLAIMS, RULES, Row
from inceptorch.papers.studies.detection_2014.rows import rows as rows_of
from inceptorch.papers.studies.folder import begin
from inceptorch.papers.studies.statistics import Interval, verdict
from inceptorch.papers.studies.studies import DETECTION, Results
from inceptorch.utils.cpu import processors
from inceptorch.utils.files import make_folder
from inceptorch.utils.ordered_map import ordered_map
from inceptorch.utils.progress import Progress

WEIGHTS = "googlenet.bvlc"
VAL_FRACTION = 0.2  # of DATA that is not divided
EPOCHS = 8  # of the class-free detector
MIN_IMAGES = 2  # of each split
RANGES = {"networks": (1, len(NETWORKS)), "images": (MIN_IMAGES, 1_000_000), "size": (64, 4096), "epochs": (1, 1000)}
SEARCHED = ("selective-search", "both", "boxes")  # by default with OpenCV
ORDER = ("learned", "coarse", "fine", "grid")  # of the parts in an image's proposals


def run_detection_2014(
    data: str | Path,
    *,
    weights: str | Path = WEIGHTS,
    out: str | Path | None = None,
    proposals: Sequence[str] = (),
    images: int = 200,
    networks: int = len(NETWORKS),
    size: int = 512,
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Results:
    """Propose regions in at most `images` training and test images of DATA, classify them by one to `networks`
    networks on the body of `weights`, and evaluate each way.

    proposals  names of SETS; by default the paper's, `both`, beside selective search and the class-free boxes alone;
               without OpenCV these boxes and the grid
    size       longer side of the network's images in pixels
    epochs     of the class-free detector

    Called again with the same `out` and settings, it goes on where it stopped. Raises RunError, DataError, BundleError
    and TableError, where it can before anything is written, and ModuleNotFoundError for a selective search without
    OpenCV.
    """
    progress, data = progress or Progress(), absolute(data)
    out = Path(out) if out else Path("runs") / f"{DETECTION}-{short_name(data)}"
    ensure_outside(out, data)
    chosen = _chosen(proposals)
    _check_ranges(networks=networks, images=images, size=size, epochs=epochs)
    classifier = load(weights)
    train, test = _splits(data, images, seed, progress)
    study = _Study(classifier, train, test, out, chosen, size, epochs, seed, progress)
    settings = {
        "study": DETECTION,
        "data": data,
        "weights": str(weights),
        "layers": study.levels,
        "proposals": list(chosen),
        "size": size,
        "epochs": epochs,
        "seed": seed,
        "images": [fingerprint(train), fingerprint(test)],
    }
    begin(out, settings)
    try:
        results = study.results(networks) | {"data": short_name(data), "weights": str(weights)}
    except (KeyboardInterrupt, SystemExit):
        progress.info(f"stopped; the same command resumes the study in {out}")
        raise
    page.write(results, out)
    shutil.rmtree(out / "maps", ignore_errors=True)
    progress.info(f"study.json, study.md and study.png are in {out}")
    return results


def _check_ranges(**options: int) -> None:
    for name, value in options.items():
        least, most = RANGES[name]
        if not least <= value <= most:
            raise RunError(f"Cannot study detection with {name} {value}. Try --{name} from {least} to {most}.")


def _chosen(proposals: Sequence[str]) -> tuple[str, ...]:
    """The sets by name, or those that are possible here. Raises as `opencv` does where one needs it."""
    for name in proposals:
        if name not in SETS:
            raise RunError(f"Cannot propose regions by {name!r}: {did_you_mean(name, SETS)}")
    has_search = find_spec("cv2") is not None
    chosen = tuple(dict.fromkeys(proposals)) or (SEARCHED if has_search else ("boxes", "grid"))
    if any(part in SUPERPIXELS for name in chosen for part in SETS[name].parts):
        opencv()
    return chosen


def _splits(data: str, images: int, seed: int, progress: Progress) -> tuple[BoxSplit, BoxSplit]:
    """The images to train on and those to evaluate on: test images if DATA has them, else validation images."""
    train, test = find_train_and_val(data, VAL_FRACTION, seed)
    if "test" in open_splits(data):
        test = find_split(data, train.classes, "test")
    found = []
    for split, name in ((train, "train"), (test, "test")):
        if not isinstance(split, BoxSplit):
            raise DataError(
                f"Cannot study detection on {data}: its images have no boxes. Try data as in docs/boxes.md."
            )
        for line in describe_problems([split]):
            progress.info(line)
        drawn = np.random.default_rng(seed).permutation(len(split))[:images]
        readable, _ = without_unreadable(replace(split.select(np.sort(drawn)), name=name), progress)
        assert isinstance(readable, BoxSplit)
        if len(readable) < MIN_IMAGES:
            raise DataError(f"Cannot study detection on {len(readable)} {name} images of {data}. Try more --images.")
        if all((boxes.crowd | boxes.difficult).all() for boxes in readable.boxes):
            raise DataError(f"Cannot study detection: no {name} image of {data} has an object. Try more --images.")
        found.append(readable)
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class _Study:
    """One run: what it works on, and each step."""

    classifier: Classifier
    train: BoxSplit
    test: BoxSplit
    out: Path
    sets: tuple[str, ...]
    size: int
    epochs: int
    seed: int
    progress: Progress

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of all sets, in the order of an image's proposals."""
        return tuple(part for part in ORDER if any(part in SETS[name].parts for name in self.sets))

    @cached_property
    def body(self) -> Detector:
        """The given body, below a class-free head."""
        return body_of(self.classifier, self.train, self.size)

    @property
    def levels(self) -> tuple[str, ...]:
        return self.body.detection.levels

    def maps(self, split: BoxSplit, view: View) -> ImageMaps:
        make_folder(self.out / "maps")
        path = self.out / "maps" / f"{split.name}-{view.describe().replace(' ', '-')}.npy"
        return image_maps(self.classifier, self.body, split, view, path, self.progress)

    def results(self, networks: int) -> Results:
        """All steps; what is finished already is read back."""
        parts = {split.name: self._proposals(split) for split in (self.train, self.test)}
        found = list(self._answers(parts, networks))
        ways = {name: self._coverage(name, parts["test"]) for name in self.sets}
        rows = list(rows_of(self.sets, networks))
        boxes = {row: self._found(row, parts["test"], found) for row in self.progress.track(rows, len(rows), "rows")}
        return {
            "study": DETECTION,
            "classes": len(self.test.classes),
            "train_images": len(self.train),
            "test_images": len(self.test),
            "objects": sum(self.test.counts().values()),
            "size": self.size,
            "seed": self.seed,
            "network": self.classifier.config.architecture,
            "networks": [each.describe(self.levels, place) for place, each in enumerate(NETWORKS[:networks])],
            "proposals": [{"name": name, "what": SETS[name].what, **way} for name, way in ways.items()],
            "rows": [{**vars(row), **self._scores(each)} for row, each in boxes.items()],
            "claims": list(self._claims(boxes)),
        }

    def _proposals(self, split: BoxSplit) -> dict[str, list[Corners]]:
        """The regions of each image by part, in its order."""
        make_folder(self.out / "proposals")
        found = {}
        for part in self.parts:
            path = self.out / "proposals" / f"{split.name}-{part}.safetensors"
            if not path.exists():
                _write_boxes(path, list(self._propose(part, split)))
            found[part] = _read_boxes(path)
        return found

    def _propose(self, part: str, split: BoxSplit) -> Iterator[Corners]:
        if part == "learned":
            detector, maps = self._detector(), self.maps(split, View())
            yield from (learned(detector, maps, index) for index in range(len(split)))
            return

        def work(index: int) -> Corners:
            if part == "grid":
                return shuffled(grid(*split.sizes[index].tolist()), self.seed, index)
            return shuffled(selective_search(split.image(index), SUPERPIXELS[part]), self.seed, index)

        cores = processors()
        with ThreadPoolExecutor(cores) as pool:  # OpenCV lets other threads run
            found = ordered_map(pool, work, range(len(split)), 2 * cores)
            yield from self.progress.track(found, len(split), f"{part} proposals in {split.name} images")

    def _detector(self) -> Detector:
        """The class-free detector, trained on the training images as they are and mirrored."""
        model, path = self.body, self.out / "proposals" / "detector.safetensors"
        if path.exists():
            model.load_state_dict(read_safetensors(path))
            return model.eval()
        views = [self.maps(self.train, view) for view in (View(), View(mirrored=True))]
        train_learned(views, self.epochs, self.seed, self.progress)
        write_safetensors(path, model.state_dict(), {})
        return model

    def _answers(self, parts: Mapping[str, Mapping[str, list[Corners]]], networks: int) -> Iterator[Answers]:
        """What each network says of all proposals of the test images."""
        make_folder(self.out / "networks")
        regions = [_joined(parts[split.name], self.parts) for split in (self.train, self.test)]
        numbered = enumerate(NETWORKS[:networks])
        for view, members in groupby(numbered, key=lambda each: each[1].view):
            maps: list[ImageMaps] = []
            for number, network in members:
                path = self.out / "networks" / f"{number}.safetensors"
                if not path.exists():
                    maps = maps or [self.maps(split, view) for split in (self.train, self.test)]
                    layer = network.layer(self.levels)
                    found = answers(maps[0], maps[1], layer, (regions[0], regions[1]), number)
                    write_safetensors(path, vars(found), {})
                    self.progress.info(f"network {number + 1} of {networks}: {network.describe(self.levels, number)}")
                yield Answers(**read_safetensors(path))

    def _coverage(self, name: str, parts: Mapping[str, list[Corners]]) -> Results:
        regions = _joined(parts, SETS[name].parts)
        return {
            "per_image": float(np.mean([len(each) for each in regions])),
            "coverage": coverage(self.test.boxes, regions),
            "by_number": {str(count): coverage(self.test.boxes, regions, count) for count in COUNTS},
        }

    def _found(self, row: Row, parts: Mapping[str, list[Corners]], found: Sequence[Answers]) -> list[Boxes]:
        """The boxes in each test image, of the mean of the row's networks."""
        used = found[: row.networks]
        probabilities = torch.stack([each.probabilities[int(row.context)].float() for each in used]).mean(0)
        offsets = torch.stack([each.offsets.float() for each in used]).mean(0)
        boxes, start = [], 0
        for index, regions in enumerate(_joined(parts, self.parts)):
            whose = np.repeat(self.parts, [len(parts[part][index]) for part in self.parts])
            at = np.flatnonzero(np.isin(whose, SETS[row.proposals].parts))
            where = torch.from_numpy(start + at)
            size = tuple(self.test.sizes[index].tolist())
            moves = offsets[where] if row.box_regression else None
            boxes.append(detections(regions[at], probabilities[where], moves, (size[0], size[1])))
            start += len(regions)
        return boxes

    def _scores(self, found: Sequence[Boxes]) -> Results:
        """mAP by the contest's rule and by VOC's, with their intervals."""
        scores = {rule: evaluate_boxes(self.test.boxes, found, self.test.classes, rule) for rule in RULES}
        return {rule: {"map50": each.map50, "interval": each.intervals["map50"]} for rule, each in scores.items()}

    def _claims(self, boxes: Mapping[Row, Sequence[Boxes]]) -> Iterator[Results]:
        """What the paper says, with the gain that was found by the contest's rule."""
        for claim in CLAIMS:
            of, against = claim.rows(self.sets, max(row.networks for row in boxes))
            if of == against or not {of, against} <= set(boxes):
                continue
            gain = Interval(*map50_gain(self.test.boxes, boxes[of], boxes[against], self.test.classes, RULES[0]))
            printed = {"says": claim.says, "source": claim.source, "printed": claim.printed}
            compared = {"of": vars(of), "against": vars(against), **vars(gain)}
            yield {**printed, **compared, "verdict": verdict(gain, "better", 0.0)}


def _joined(parts: Mapping[str, list[Corners]], names: Iterable[str]) -> list[Corners]:
    """The regions of each image, of these parts in the order of all."""
    ordered = [parts[name] for name in ORDER if name in set(names)]
    return [np.concatenate(each) for each in zip(*ordered, strict=True)]


def _write_boxes(path: Path, boxes: Sequence[Corners]) -> None:
    counts = torch.tensor([len(each) for each in boxes])
    write_safetensors(path, {"boxes": torch.from_numpy(np.concatenate(boxes)), "counts": counts}, {})


def _read_boxes(path: Path) -> list[Corners]:
    found = read_safetensors(path)
    return [each.numpy() for each in torch.split(found["boxes"], found["counts"].tolist())]
