"""The outcome of the study: as text for a terminal, as Markdown, and as an image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from inceptorch.evaluation.detection import get_rule
from inceptorch.papers.grids import about, grid, notes
from inceptorch.papers.quantities import Nets
from inceptorch.papers.studies.detection_2014.rows import RULES, main_set
from inceptorch.papers.studies.page import points
from inceptorch.papers.studies.studies import DETECTION, DETECTION_QUESTION, Results
from inceptorch.papers.verdicts import Table, evaluated, evaluated_claims, sources
from inceptorch.utils.files import atomic_write, write_text
from inceptorch.utils.markdown import Grid, aligned, in_markdown, markdown
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 120
PAPER_TABLES = ("Table 4", "Table 5")
CLAIMS_ABOUT = "detection, "  # with which the paper's claims on it begin
PROPOSALS = f"{CLAIMS_ABOUT}proposals, % of R-CNN's"
COVERED = f"{CLAIMS_ABOUT}objects that its own proposals cover, %"
COVERED_BEFORE = f"{CLAIMS_ABOUT}objects that R-CNN's proposals cover, %"
DIFFERS = (
    "The paper trained its networks on 200 classes and ran them on every region. Here one published body stays as it "
    "is and runs once an image; regions are pooled from its maps. All rows share the classifiers, which saw the "
    "regions of all proposals.",
    "There is one set of published weights. So the networks are no trainings of their own: they differ in the layer "
    "that is pooled, in the images (as they are or mirrored) and in the seed that draws regions.",
    "Context is the whole image's pooled features beside the region's. The paper does not define it; see "
    "docs/papers.md.",
    "Intervals are 95 %, by a bootstrap over images; those of gains draw the same images for both. They hold neither "
    "the chance in training nor the number of comparisons.",
)


def paper_tables() -> list[Table]:
    """Tables 4 and 5 of the paper as its data file has them, and its claims on detection with their verdicts."""
    paper = sources()[0]
    tables = [evaluated(each, Nets()) for each in paper["accuracy"] if each["name"] in PAPER_TABLES]
    claims = [each for each in paper["claims"] if each["claim"].startswith(CLAIMS_ABOUT)]
    return [*tables, evaluated_claims("Claims on detection", claims, Nets())]


def text(results: Results) -> str:
    """The outcome for a terminal: proposals, rows, claims, and the paper's own tables."""
    parts = [
        f"{DETECTION}: {DETECTION_QUESTION}\n{_setting(results)}",
        "\n".join(f"network {number}: {what}" for number, what in enumerate(results["networks"], 1)),
        aligned(_proposals(results)),
        "\n".join(_described(results)),
        *(fill(sentence, WIDTH) for sentence in _fewer(results)),
        fill(_rule(), WIDTH),
        aligned(_rows(results)),
        *(fill(f"- {_in_words(claim)}", WIDTH, subsequent_indent="  ") for claim in results["claims"]),
        *(fill(sentence, WIDTH) for sentence in DIFFERS),
    ]
    for table in paper_tables():
        heading = fill(f"arXiv:1409.4842, {table.name}. {about(table)}".removesuffix(". "), WIDTH)
        parts += [heading, aligned(grid(table)), *(fill(f"- {row}: {note}", WIDTH) for row, note in notes(table))]
    return "\n\n".join(parts) + "\n"


def write(results: Results, out: Path) -> None:
    """Write study.json, study.md and study.png into the study's folder."""
    write_text(out / "study.json", json.dumps(results, indent=2) + "\n")
    write_text(out / "study.md", f"# {DETECTION}\n\n{outcome(results, 'study.png')}")
    draw(results, out / "study.png")


def outcome(results: Results, image: str) -> str:
    """The outcome as Markdown, beside the paper's tables."""
    networks = "\n".join(f"- {number}: {what}" for number, what in enumerate(results["networks"], 1))
    parts = [
        DETECTION_QUESTION,
        in_markdown(_setting(results)),
        "Networks:",
        networks,
        markdown(_proposals(results)),
        "\n".join(f"- {line}" for line in _described(results)),
        *_fewer(results),
        _rule(),
        markdown(_rows(results)),
        *([markdown(_claims(results))] if results["claims"] else []),
        f"![coverage by the number of proposals, and all rows]({image})",
        *DIFFERS,
    ]
    for table in paper_tables():
        parts += [
            f"**The paper's {table.name[0].lower() + table.name[1:]}.** {about(table)}".strip(),
            markdown(grid(table)),
        ]
        parts += ["\n".join(f"- **{row}**: {note}" for row, note in notes(table))] if notes(table) else []
    return "\n\n".join(parts) + "\n"


def _setting(results: Results) -> str:
    return (
        f"{results['data']}, {results['classes']} classes; trained on {results['train_images']} images, evaluated on "
        f"{results['test_images']} with {results['objects']} objects; {results['network']} of {results['weights']}, "
        f"images of {results['size']} pixels"
    )


def _rule() -> str:
    return f"mAP in %. {get_rule(RULES[0]).describe()} Beside it, VOC's: area under the curve, IoU >= 0.5."


def _proposals(results: Results) -> Grid:
    """Each set with the objects that its first proposals cover."""
    counts = list(results["proposals"][0]["by_number"])
    lines = [["proposals", "regions an image", "objects covered %", *(f"by {count}" for count in counts)]]
    for each in results["proposals"]:
        by_number = [f"{100 * found:.1f}" for found in each["by_number"].values()]
        lines.append([each["name"], f"{each['per_image']:.0f}", f"{100 * each['coverage']:.1f}", *by_number])
    return lines


def _described(results: Results) -> list[str]:
    return [f"{each['name']}: {each['what']}" for each in results["proposals"]]


def _fewer(results: Results) -> list[str]:
    """The paper's proposals beside all of selective search, where both were studied, and what the paper has."""
    sets = {each["name"]: each for each in results["proposals"]}
    if not {"both", "selective-search"} <= set(sets):
        return []
    own, before = sets["both"], sets["selective-search"]
    printed = {claim["claim"]: claim["printed"] for claim in sources()[0]["claims"]}
    return [
        f"“both” has {own['per_image'] / before['per_image']:.0%} as many regions as selective search alone, and "
        f"covers {100 * own['coverage']:.1f} % of the objects against {100 * before['coverage']:.1f} %. The paper has "
        f"about {printed[PROPOSALS]} %, and {printed[COVERED]} % against {printed[COVERED_BEFORE]} %."
    ]


def _rows(results: Results) -> Grid:
    lines = [["proposals", "context", "box regression", "networks", "mAP", "95 % interval", "mAP by VOC"]]
    for row in results["rows"]:
        first, other = (row[rule] for rule in RULES)
        flags = ["yes" if row[name] else "no" for name in ("context", "box_regression")]
        lines.append(
            [
                row["proposals"],
                *flags,
                str(row["networks"]),
                _percent(first["map50"]),
                _interval(first),
                _percent(other["map50"]),
            ]
        )
    return lines


def _claims(results: Results) -> Grid:
    lines = [["the paper", "source", "printed", "compared", "found, points", "verdict"]]
    for claim in results["claims"]:
        found = f"{points(claim['mean'])} ({points(claim['low'])} to {points(claim['high'])})"
        printed = claim["printed"] or "no figure"
        lines.append([claim["says"], claim["source"], printed, _compared(claim), found, f"**{claim['verdict']}**"])
    return lines


def _in_words(claim: Mapping[str, Any]) -> str:
    """A claim with what was found, as a sentence each."""
    printed = f"; printed: {claim['printed']}" if claim["printed"] else ""
    interval = f"{points(claim['low'])} to {points(claim['high'])}"
    found = f"{points(claim['mean'])} points of mAP, {interval}; {claim['verdict']}."
    return f"{claim['says']} ({claim['source']}{printed}.) Found, {_compared(claim)}: {found}"


def _compared(claim: Mapping[str, Any]) -> str:
    return f"{_differing(claim['of'], claim['against'])} against {_differing(claim['against'], claim['of'])}"


def _differing(row: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What a row has that the other one has not."""
    words = {
        "proposals": f"“{row['proposals']}”",
        "networks": f"{row['networks']} network{'' if row['networks'] == 1 else 's'}",
        "context": "context" if row["context"] else "no context",
        "box_regression": "box regression" if row["box_regression"] else "no box regression",
    }
    return " and ".join(word for name, word in words.items() if row[name] != other[name])


def _percent(fraction: float | None) -> str:
    return "none" if fraction is None else f"{100 * fraction:.2f}"


def _interval(score: Mapping[str, Any]) -> str:
    return "none" if score["interval"] is None else "{:.1f} to {:.1f}".format(*(100 * end for end in score["interval"]))


def draw(results: Results, out: Path) -> None:
    """Write the image as PNG: coverage by the number of proposals at the left, the rows at the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.8 + 0.24 * max(14, len(results["rows"]))), layout="constrained")
    curves, bars = figure.subplots(1, 2)
    _draw_coverage(curves, results)
    for line, row in enumerate(results["rows"]):
        score = row[RULES[0]]
        low, high = (100 * end for end in score["interval"] or (score["map50"] or 0, score["map50"] or 0))
        color = ORANGE if row["proposals"] == main_set([each["name"] for each in results["proposals"]]) else BLUE
        bars.plot([low, high], [line] * 2, color=color, lw=2.2, solid_capstyle="round")
        bars.plot(100 * (score["map50"] or 0), line, "D", color=color, ms=5)
    bars.set_yticks(range(len(results["rows"])), [_label(row) for row in results["rows"]], fontsize=8)
    bars.set_ylim(len(results["rows"]) - 0.5, -0.5)
    bars.set_title(f"{DETECTION}: mAP by the contest's rule, %", loc="left", color=INK)
    bars.grid(axis="x", color=GRID, lw=0.7)
    bars.spines[["top", "right", "left"]].set_visible(False)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def _draw_coverage(axes: Axes, results: Results) -> None:
    for each in results["proposals"]:
        counts = [int(count) for count in each["by_number"] if int(count) <= each["per_image"]]
        heights = [100 * each["by_number"][str(count)] for count in counts]
        whole = [*counts, each["per_image"]], [*heights, 100 * each["coverage"]]
        axes.plot(*whole, marker="o", ms=4, label=each["name"])
    axes.set_xscale("log")
    axes.set_title("objects covered, IoU >= 0.5, %", loc="left", color=INK)
    axes.set_xlabel("proposals an image")
    axes.set_ylim(0, 101)
    axes.grid(color=GRID, lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")


def _label(row: Mapping[str, Any]) -> str:
    extras = [word for name, word in (("context", "context"), ("box_regression", "regression")) if row[name]]
    return ", ".join([row["proposals"], f"{row['networks']} x", *extras])
