"""What a check found: as lines for a terminal, and as a page that holds all it shows."""

from __future__ import annotations

from PIL import Image

from inceptorch.checks.findings import KINDS, Finding, Findings
from inceptorch.errors import ImageError
from inceptorch.utils.html import data_uri, render

LINES = 5  # findings of a kind on a terminal
TOGETHER = 3  # files of a finding on a line
CARDS, ON_A_CARD = 40, 8  # findings of a kind with images on the page, images of a finding
MOST_IMAGES = 800  # on the page, of about 4 kB each
SIDE = 128  # of an image on the page, at most


def lines(findings: Findings) -> list[str]:
    """The findings of every kind for a terminal: how many, the first of them, and what to do."""
    found: list[str] = []
    for kind, mine in findings.by_kind.items():
        found.append(f"{KINDS[kind].severity}: {kind}, {len(mine)}: {KINDS[kind].what}")
        found += [f"  {_line(one)}" for one in mine[:LINES]]
        if len(mine) > LINES:
            found.append(f"  and {len(mine) - LINES} more")
        found += [f"  -> {KINDS[kind].remedy}", ""]
    return [*found, *findings.caveats, f"{_looked_at(findings)} {_verdict(findings)}"]


def html(findings: Findings) -> str:
    """The page: every finding with its files, the first of each kind with their images."""
    images = _images(findings)
    sections = []
    for name, found in findings.by_kind.items():
        cards = [one for one in found[:CARDS] if any(number in images for number in one.images)]
        rest = [one for position, one in enumerate(found) if position >= CARDS or one not in cards]
        sections.append({"name": name, "kind": KINDS[name], "count": len(found), "cards": cards, "rest": rest})
    return render(
        "checks/templates/check.html",
        title=f"check of {findings.data}",
        folder=findings.data.rstrip("/") + "/",  # which the title names
        scanned=_looked_at(findings),
        verdict=_verdict(findings),
        safe=findings.safe,
        caveats=findings.caveats,
        sections=sections,
        images=images,
        most=CARDS,
        on_a_card=ON_A_CARD,
    )


def _looked_at(findings: Findings) -> str:
    survey = findings.survey
    parts = [f"{len(split)} in {name}" for name, split in survey.splits.items() if name]
    divided = f" ({', '.join(parts)})" if parts else ""
    classes = len(survey.classes)
    return f"{len(survey)} images{divided} of {classes} {'class' if classes == 1 else 'classes'}."


def _verdict(findings: Findings) -> str:
    counts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in findings.counts().items() if count]
    if not counts:
        return "Nothing was found: training is safe."
    return f"{', '.join(counts)}: training is {'safe' if findings.safe else 'not safe'}."


def _line(finding: Finding) -> str:
    """A finding on one line."""
    shown = " = ".join(finding.files[:TOGETHER])
    if len(finding.files) > TOGETHER:
        shown += f" and {len(finding.files) - TOGETHER} more"
    return f"{shown}: {finding.note}" if len(finding.files) > 1 else f"{shown} {finding.note}"


def _images(findings: Findings) -> dict[int, str]:
    """The images of the first findings of every kind, small, as addresses that hold them; by number."""
    wanted = dict.fromkeys(
        number for found in findings.by_kind.values() for one in found[:CARDS] for number in one.images[:ON_A_CARD]
    )
    addresses = {number: _address(findings, number) for number in list(wanted)[:MOST_IMAGES]}
    return {number: address for number, address in addresses.items() if address}


def _address(findings: Findings, number: int) -> str:
    """An image as a data: address; "" if it cannot be read."""
    if not findings.survey.readable[number]:
        return ""
    try:
        image = findings.survey.image(number)
    except ImageError:
        return ""
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return data_uri(image)
