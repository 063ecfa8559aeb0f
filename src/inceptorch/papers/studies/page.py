"""The results of a study: as text for a terminal, as Markdown, and all of them as the page `docs/studies.md`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any

from inceptorch.papers.studies.plot import draw
from inceptorch.papers.studies.studies import STUDIES, Results, Study
from inceptorch.utils.files import write_text
from inceptorch.utils.markdown import Grid, aligned, in_markdown, markdown

WIDTH = 120
CAUTION = (
    "Differences are in percentage points, seed by seed: a seed gives both arms the same split and the same order of "
    "the "
    "images. Intervals are 95 %, by Student's t. They are not widened for the number of comparisons, so one of twenty "
    "is "
    "expected to be wrong by chance."
)
GRADIENTS = (
    "Norm of the gradient of the main loss by layer, on a few training images and as the mean over the seeds: before "
    "training, how many times that with the heads of the arm, and after training."
)
METHOD = """\
`inceptorch study NAME --data DATA` trains every arm of a study with several seeds, and compares the difference with the
paper's claim. For a verdict, the whole interval of the difference must lie on one side of the claim's bound. Otherwise
the claim cannot be told with so many seeds. Nor can it where an arm is not clearly above chance, or the seeds do not
differ. The papers speak of ImageNet; small networks and small images may differ."""


def text(results: Results) -> str:
    """The outcome for a terminal: the arms as a table, then every claim with what was found."""
    study = STUDIES[results["study"]]
    claims = "\n".join(
        fill(f"- {_claim(claim)} {_found(claim, results['seeds'])}", WIDTH, subsequent_indent="  ")
        for claim in results["claims"]
    )
    parts = [
        f"{study.name}: {study.question}\n{_setting(results)}",
        fill(_trained(results), WIDTH),
        aligned(_arms(results)),
        claims,
        *([GRADIENTS, aligned(_gradients(results))] if "gradients" in results else []),
        fill(study.differs, WIDTH),
        fill(CAUTION, WIDTH),
    ]
    return "\n\n".join(parts) + "\n"


def write(results: Results, out: Path) -> None:
    """Write study.json, study.md and study.png into the study's folder."""
    study = STUDIES[results["study"]]
    parts = [f"# {study.name}", study.question, *_outcome(results, "study.png"), study.differs, CAUTION]
    write_text(out / "study.json", json.dumps(results, indent=2) + "\n")
    write_text(out / "study.md", "\n\n".join(parts) + "\n")
    draw(results, out / "study.png")


def page(results: Sequence[Results]) -> str:
    """The text of `docs/studies.md`: every study, with its outcome where `results` has one."""
    outcomes = {each["study"]: each for each in results}
    parts = ["# The papers' claims put to the test", METHOD, CAUTION]
    for study in STUDIES.values():
        parts += [f"## {study.name}", study.question, study.differs]
        if study.name in outcomes:
            parts += _outcome(outcomes[study.name], f"study_{study.name}.png")
        else:
            parts += [_listed(study), "There is no result of this study yet."]
    return "\n\n".join(parts) + "\n"


def _outcome(results: Results, image: str) -> list[str]:
    command = [f"`{results['command']}`"] if "command" in results else []
    return [
        *command,
        in_markdown(_setting(results)),
        _trained(results),
        markdown(_arms(results)),
        markdown(_claims(results)),
        *([GRADIENTS, markdown(_gradients(results))] if "gradients" in results else []),
        f"![every seed, means and differences]({image})",
    ]


def _listed(study: Study) -> str:
    arms = "\n".join(f"- {arm.name}: {arm.what}" for arm in study.arms)
    claims = markdown(
        [["claim", "source", "printed", "compared"]]
        + [[c.says, c.source, c.printed or "no figure", _compared(vars(c))] for c in study.claims]
    )
    return f"{arms}\n\n{claims}"


def _setting(results: Results) -> str:
    limit = f", at most {results['limit']} images of a class" if results["limit"] else ""
    seconds = sum(sum(arm["seconds"]) for arm in results["arms"])
    return (
        f"{results['data']}, {results['classes']} classes{limit}; {results['size']} pixels, "
        f"{results['epochs']} epochs, {results['seeds']} seeds; {seconds / 60:.1f} minutes in all"
    )


def _trained(results: Results) -> str:
    """How far the networks are from trained ones, which bounds what a verdict is about."""
    means = [arm["mean"] for arm in results["arms"]]
    images = f" of at most {results['limit'] * results['classes']:,} images" if results["limit"] else ""
    return (
        f"The networks were trained for {results['epochs']} epochs{images}. They end with {min(means):.0%} to "
        f"{max(means):.0%} right; guessing would have {results.get('chance', 1 / results['classes']):.0%}. The "
        "verdicts are about networks trained so little."
    )


def _arms(results: Results) -> Grid:
    """The arms with their accuracy and cost, one in a line."""
    grid = [["arm", "top-1 %", "95 % interval", "parameters", "multiply-adds", "seconds a run", "what it is"]]
    for arm in results["arms"]:
        aux = arm["params_with_aux"] - arm["params"]
        grid.append(
            [
                arm["name"],
                f"{100 * arm['mean']:.2f}",
                f"{100 * arm['low']:.2f} to {100 * arm['high']:.2f}",
                f"{arm['params']:,}" + (f" (+{aux:,} to train)" if aux else ""),
                f"{arm['macs']:,}",
                f"{fmean(arm['seconds']):.0f}",
                arm["what"],
            ]
        )
    return grid


def _claims(results: Results) -> Grid:
    """The paper's claims beside what was found, one in a line."""
    grid = [["the paper", "source", "printed", "compared", "found", "verdict"]]
    for claim in results["claims"]:
        found = f"{points(claim['mean'])} ({points(claim['low'])} to {points(claim['high'])})"
        outcome = claim["verdict"] if claim["verdict"] != "cannot be told" else _untold(claim, results["seeds"])
        grid.append(
            [claim["says"], claim["source"], claim["printed"] or "no figure", _compared(claim), found, f"**{outcome}**"]
        )
    return grid


def _gradients(results: Results) -> Grid:
    """The norms of the gradient, a layer in a line."""
    arms = results["gradients"]
    grid = [["layer", *(f"{arm}, {when}" for when in ("before", "times", "after") for arm in arms)]]
    for layer in next(iter(arms.values())):
        norms = {when: [f"{by_layer[layer][when]:.2e}" for by_layer in arms.values()] for when in ("before", "after")}
        times = [f"{by_layer[layer]['times']:.2f}" for by_layer in arms.values()]
        grid.append([layer, *norms["before"], *times, *norms["after"]])
    return grid


def _claim(claim: dict[str, Any]) -> str:
    printed = f"; printed: {claim['printed']}" if claim["printed"] else ""
    return f"{claim['says']} ({claim['source']}{printed}.)"


def _found(claim: dict[str, Any], seeds: int) -> str:
    """The verdict as a sentence, which says no more than the interval does."""
    compared = _compared(claim)
    if claim["verdict"] == "cannot be told":
        return f"Found, {compared}: {_untold(claim, seeds)}."
    return (
        f"Found, {compared}: {points(claim['mean'])} points, {points(claim['low'])} to {points(claim['high'])}; "
        f"{claim['verdict']}."
    )


def _untold(claim: dict[str, Any], seeds: int) -> str:
    if claim.get("why"):
        return f"cannot be told: {claim['why']}"
    return (
        f"cannot be told with {seeds} seeds: the difference lies between {points(claim['low'])} and "
        f"{points(claim['high'])} points"
    )


def _compared(claim: dict[str, Any]) -> str:
    """Which arms are compared, and what was predicted of them."""
    bound = f", within {100 * claim['margin']:.1f} points" if claim["margin"] else ""
    when = f", after {claim['at']:.0%} of the epochs" if claim["at"] < 1 else ""
    word = "to" if claim["predicts"] == "equal" else "than"
    return f"“{claim['of']}” {claim['predicts']} {word} “{claim['against']}”{bound}{when}"


def points(difference: float) -> str:
    """A difference in percentage points, with its sign."""
    return f"{100 * difference:+.2f}"
