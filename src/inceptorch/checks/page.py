"""The findings of a check, as lines for a terminal and as a self-contained page."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from PIL import Image

from inceptorch.checks.boxes import describe_boxes, draw_boxes
from inceptorch.checks.findings import KINDS, Finding, Findings
from inceptorch.checks.scan import DatasetScan
from inceptorch.data import BoxSplit
from inceptorch.data.split import describe_unused_files
from inceptorch.errors import ImageError
from inceptorch.inference.draw_boxes import color_of
from inceptorch.utils.html import data_uri, render

MAX_LINES = 5  # findings of a kind on a terminal
MAX_FILES = 3  # of a finding on a line
MAX_CARDS, MAX_CARD_IMAGES = 40, 8  # findings of a kind with images on the page, images of a finding
MAX_IMAGES = 800  # on the page, of about 4 kB each
IMAGE_SIZE = 128  # pixels of an image on the page, at most
BOX_IMAGE_SIZE, MAX_BOX_IMAGES = 270, 200  # of images with boxes, of about 15 kB each
MAX_SAMPLES = 12  # images that are shown for their boxes alone


def lines(findings: Findings) -> list[str]:
    """For each kind: the number of findings, the first of them, and the remedy."""
    text: list[str] = []
    for name, found in findings.by_kind.items():
        kind = KINDS[name]
        text += [f"{kind.severity}: {name}, {len(found)}: {kind.what}", *map(_line, found[:MAX_LINES])]
        if len(found) > MAX_LINES:
            text.append(f"  and {len(found) - MAX_LINES} more")
        text += [f"  -> {kind.remedy}", ""]
    return [*text, *findings.caveats, *_classes(findings), f"{_scanned(findings)} {_verdict(findings)}"]


def html(findings: Findings) -> str:
    """The page: every finding with its files, the first of each kind with their images."""
    images = _images(findings)
    sections = []
    for name, found in findings.by_kind.items():
        cards = [each for each in found[:MAX_CARDS] if any(index in images for index in each.indices)]
        rest = [each for position, each in enumerate(found) if position >= MAX_CARDS or each not in cards]
        sections.append({"name": name, "kind": KINDS[name], "count": len(found), "cards": cards, "rest": rest})
    return render(
        "checks/templates/check.html",
        title=f"check of {findings.data}",
        folder=findings.data.rstrip("/") + "/",  # which the title names
        scanned=_scanned(findings),
        classes=_classes(findings),
        verdict=_verdict(findings),
        safe=findings.safe,
        caveats=findings.caveats,
        sections=sections,
        images=images,
        samples=[(index, findings.scan.file(index)) for index in _samples(findings) if index in images],
        colors=[(name, color_of(label)) for label, name in enumerate(findings.scan.classes)],
        max_open=MAX_CARDS,
        max_images=MAX_CARD_IMAGES,
    )


def _scanned(findings: Findings) -> str:
    scan = findings.scan
    sizes = ", ".join(f"{len(split)} in {name}" for name, split in scan.splits.items() if name)
    classes = len(scan.classes)
    return f"{len(scan)} images{f' ({sizes})' if sizes else ''} of {classes} {'class' if classes == 1 else 'classes'}."


def _classes(findings: Findings) -> list[str]:
    """The classes of every split with their numbers of images, and what is not used."""
    splits = findings.scan.splits
    unused = describe_unused_files(splits.values())
    text = []
    for name, split in splits.items():
        text.append(f"{name or 'images'}: {split.describe()}")
        if isinstance(split, BoxSplit):
            text.append(f"{name or 'images'}: {describe_boxes(split)}")
    return [*text, f"not used: {unused}"] if unused else text


def _verdict(findings: Findings) -> str:
    counts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in findings.counts().items() if count]
    return f"{', '.join(counts) or 'No faults found'}: training is {'safe' if findings.safe else 'not safe'}."


def _line(finding: Finding) -> str:
    count = max(MAX_FILES, finding.leading)
    shown = " = ".join(finding.files[:count])
    if len(finding.files) > count:
        shown += f" and {len(finding.files) - count} more"
    return f"  {shown}{':' if len(finding.files) > 1 else ''} {finding.note}"


def _images(findings: Findings) -> dict[int, str]:
    """The images of the first findings of every kind, as small data URIs, by index."""
    shown = [
        each.indices[: max(MAX_CARD_IMAGES, each.leading)]
        for found in findings.by_kind.values()
        for each in found[:MAX_CARDS]
    ]
    addresses: dict[int, str] = {}
    for index in list(dict.fromkeys([*_samples(findings), *(index for indices in shown for index in indices)])):
        has_boxes = findings.scan.boxes(index) is not None
        if findings.scan.readable[index] and len(addresses) < (MAX_BOX_IMAGES if has_boxes else MAX_IMAGES):
            with suppress(ImageError):
                addresses[index] = data_uri(_reduced(findings.scan, index))
    return addresses


def _reduced(scan: DatasetScan, index: int) -> Image.Image:
    """An image for the page, with its boxes. Raises ImageError."""
    image, boxes = scan.image(index), scan.boxes(index)
    if boxes is not None:
        return draw_boxes(image, boxes, BOX_IMAGE_SIZE)
    image.thumbnail((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
    return image


def _samples(findings: Findings) -> list[int]:
    """Some images with boxes, from all over DATA: whether the boxes are right is for people to see."""
    scan = findings.scan
    with_boxes = [index for index in np.flatnonzero(scan.readable).tolist() if len(scan.boxes(index) or ())]
    return with_boxes[:: max(1, -(-len(with_boxes) // MAX_SAMPLES))]
