"""Rewrite what README and docs/results.md, recipes.md, studies.md, scaling.md, check.md and speed.md say of figures, from bench/results: python -m bench.tables

With --check, nothing is written and the exit code is 1 if a file does not say what the results say.
"""

import json
import re
import sys
from math import sqrt
from pathlib import Path
from statistics import mean
from typing import Any

from bench import check_page, recipes_page, scaling, shipping_page, speed_page
from bench.common import RESULTS
from inceptorch.study import page

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def result(name: str) -> dict[str, Any]:
    """One measurement's record."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return record


def summary() -> str:
    """The table of README.md."""
    demo, photos, head, finetune, cifar = (result(n) for n in ("demo", "photos", "head", "finetune", "cifar10"))
    ours = sorted(head["ours"], key=lambda run: run["seconds"])
    typical = ours[len(ours) // 2]
    rows = [
        (
            "`inceptorch demo`: handwritten digits from scratch",
            f"{demo['top1']:.2%} of the held-out digits",
            f"{demo['seconds']:.0f} s{in_bf16(demo)}",
        ),
        (
            "BVLC's GoogLeNet on 200 photographs, centre crop",
            f"top-1 {photos['ours']['top1'] / photos['pictures']:.1%}, top-5 {photos['ours']['top5'] / photos['pictures']:.1%}",
            "",
        ),
        (
            "12 kinds of flower, `--recipe head`",
            f"{typical['top1']:.2%} of the test pictures",
            f"{typical['seconds']:.0f} s ({head['ratio']:.1f} times as fast as the plain way){in_bf16(head)}",
        ),
        (
            "12 kinds of flower, `--recipe finetune`",
            f"{finetune['top1']:.2%}",
            f"{finetune['seconds'] / 60:.1f} min{in_bf16(finetune)}",
        ),
        (
            "CIFAR-10 (as JPEG) from scratch",
            f"{cifar['top1']:.2%} of the test pictures",
            f"{cifar['seconds'] / 60:.1f} min on one of the cores{in_bf16(cifar)}",
        ),
    ]
    lines = ["| what | right | time |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    machine = demo["machine"]
    versions = " and ".join(sorted({run["versions"]["torch"] for run in (demo, head, finetune, cifar)}))
    lines += ["", f"On {machine['cores']} cores of an {machine['processor']}, torch {versions}; no GPU."]
    if (RESULTS / "leaked.json").exists():
        leaked = result("leaked")
        kept, whole = leaked["without"], leaked["all"]
        lines += [
            "",
            f"Of flowers12's test pictures {leaked['leaked']} are near duplicates of training pictures, as `inceptorch check` tells; "
            f"without them the classifier on frozen features has {kept['top1']:.2%} of {kept['n']} where it has {whole['top1']:.2%} of all.",
        ]
    return "\n".join(lines) + "\n"


def in_bf16(record: dict[str, Any]) -> str:
    """A remark on processors that compute in bf16, which is about twice as fast."""
    return ", in bf16" if record["machine"]["bf16"] else ""


def details() -> str:
    """The tables of docs/results.md."""
    startup = result("startup")
    parts = [f"## Waiting for a first answer\n\n`{startup['command']}`\n\n| what | seconds |\n| --- | --- |"]
    parts += [f"| `{row['what']}` | {row['seconds']:.2f} |" for row in startup["rows"]]

    parts += built() + counted_lines() + training_speed() + pictures_in() + deaths()

    lrn = result("lrn")
    parts.append(f"\n## Local response normalisation, forward and backward\n\n`{lrn['command']}`\n")
    parts.append("| row | shape | ours | torch | ratio |\n| --- | --- | --- | --- | --- |")
    for row in lrn["rows"]:
        shape = "x".join(map(str, row["shape"]))
        parts.append(
            f"| {row['row']} | {shape} | {row['ours_ms']:.0f} ms | {row['torch_ms']:.0f} ms | {row['ratio']:.1f} |"
        )

    head = result("head")
    parts.append(f"\n## To {head['bar']:.0%} of flowers12's test pictures on a frozen body\n\n`{head['command']}`\n")
    parts.append("| way | seconds | top-1 |\n| --- | --- | --- |")
    for run in head["ours"]:
        parts.append(f"| `inceptorch train --recipe head` | {run['seconds']:.1f} | {run['top1']:.2%} |")
    plain = head["plain"]
    told = ", ".join(f"{top1:.2%}" for top1 in plain["top1_by_epoch"])
    parts.append(f"| plain: every epoch through the whole network | {plain['seconds']:.1f} | by epoch: {told} |")
    reached = "" if head["plain_reached_the_bar"] else " at least, as the plain way stopped short of the bar"
    parts.append(f"\nRatio of times: {head['ratio']:.1f}{reached}.")

    photos = result("photos")
    parts.append(f"\n## BVLC's weights on {photos['pictures']} photographs\n\n`{photos['command']}`\n")
    parts.append("| code | top-1 right | top-5 right |\n| --- | --- | --- |")
    for name in ("ours", "oracle"):
        parts.append(f"| {name} | {photos[name]['top1']} | {photos[name]['top5']} |")
    parts.append(f"\nLargest difference of a probability: {photos['largest_difference']:.1e}.")

    rate = result("scratch_rate")
    parts.append(f"\n## The rate of `scratch`, one epoch of CIFAR-10, one seed\n\n`{rate['command']}`\n")
    parts.append("| setting | top-1 |\n| --- | --- |")
    parts += [f"| {row['setting']} | {row['top1']:.2%} |" for row in rate["rows"]]

    finetune = result("finetune")
    parts.append(f"\n## flowers12, finetune\n\n`{finetune['command']}`: {finetune['top1']:.2%} on average\n")
    parts.append("| seed | top-1 | of the classifier alone | seconds |\n| --- | --- | --- | --- |")
    parts += [
        f"| {run['seed']} | {run['top1']:.2%} | {run['head_top1']:.2%} | {run['seconds']:.0f} |"
        for run in finetune["runs"]
    ]

    for name, title in (("demo", "The demo"), ("cifar10", "CIFAR-10")):
        run = result(name)
        parts.append(f"\n## {title}\n\n`{run['command']}`: {run['top1']:.2%} in {run['seconds']:.0f} s\n")
        if "plain" in run:
            parts.append(
                f"A plain torchvision loop (`{run['plain']['command']}`) beside it, each on one core: "
                f"{run['plain']['top1']:.2%} in {run['plain']['seconds']:.0f} s.\n"
            )
            parts.append("![accuracy against time](cifar10.png)\n")
        parts.append(
            "| epoch | train loss | held-out loss | top-1 | seconds | pictures/s | waiting for data |\n|" + " --- |" * 7
        )
        for row in run["epochs"]:
            parts.append(
                f"| {row['epoch']} | {float(row['train_loss']):.4f} | {float(row['loss']):.4f} | {float(row['top1']):.2%} "
                f"| {float(row['seconds']):.0f} | {float(row['pictures_per_second']):.0f} | {float(row['waiting']):.0%} |"
            )
    return "\n".join(parts) + "\n"


def built() -> list[str]:
    """How long networks take to build."""
    construct = result("construct")
    parts = [f"\n## Building a network with fresh weights\n\n`{construct['command']}`\n"]
    parts.append("| network | seconds | peer | its seconds | ratio |\n| --- | --- | --- | --- | --- |")
    for row in construct["rows"]:
        peer = f"{row['peer']} | {row['peer_seconds']:.2f} | {row['ratio']:.1f}" if "peer" in row else " | | "
        parts.append(f"| {row['net']} | {row['seconds']:.2f} | {peer} |")
    return parts


def training_speed() -> list[str]:
    """Steps against torchvision's loop, and what the loop costs."""
    steps, overhead = result("steps"), result("overhead")
    parts = [f"\n## Training steps, batch {steps['batch']} at {steps['size']}\n\n`{steps['command']}`\n"]
    parts.append("| way | pictures/s | ratio |\n| --- | --- | --- |")
    parts += [f"| {row['way']} | {row['pictures_per_second']:.1f} | {row['ratio']:.2f} |" for row in steps["rows"]]
    ours = next(row["ratio"] for row in steps["rows"] if row["way"] == "ours, bf16")
    share, of_peak = steps["convolutions"]["share"], steps["convolutions"]["of_peak"]
    parts.append(
        f"\nAimed at 2.5. Of our step in bf16 {share:.0%} are convolutions, which reach {of_peak:.0%} of what this processor's best "
        f"matrix product does: with nothing around them the ratio would be {ours / share:.1f}."
    )
    parts.append(f"\n## What the loop costs beside data and model\n\n`{overhead['command']}`\n")
    parts.append("| case | share of the epoch | without the weights' running average |\n| --- | --- | --- |")
    for row in overhead["rows"]:
        parts.append(f"| {row['case']} | {row['overhead']:.1%} | {row['overhead_without_averaging']:.1%} |")
    if not (RESULTS / "estimate.json").exists():
        return parts
    estimate = result("estimate")
    parts.append(
        f"\n## The time left, as said after the first minute\n\n`{estimate['command']}`, by `python -m bench.estimate`: said "
        f"after {estimate['said']['after']:.0f} s that the whole would take {estimate['said']['total']:.0f} s; it took "
        f"{estimate['seconds']:.0f} s ({estimate['error']:+.0%})."
    )
    return parts


def pictures_in() -> list[str]:
    """How fast training pictures are read, and a million files listed."""
    read, index = result("input"), result("index")
    parts = [f"\n## Training pictures on one core\n\n`{read['command']}`\n"]
    parts.append("| pictures | to | ours/s | torchvision's recipe | ratio | torchvision on tensors |\n|" + " --- |" * 6)
    for row in read["rows"]:
        speed = row["per_second"]
        parts.append(
            f"| {row['pictures']} | {row['to']} | {speed['ours']:.0f} | {speed['torchvision']:.0f} | {row['ratio']:.2f} "
            f"| {speed['torchvision_tensors']:.0f} |"
        )
    parts.append(f"\n## A million files\n\n`{index['command']}`\n")
    parts.append("| way | seconds | peak MB | MB of a worker's own |\n| --- | --- | --- | --- |")
    for name, row in index["rows"].items():
        own = [each["uss_of_a_worker_mb"] for each in row.get("workers", []) if each["workers"]]
        shown = f"{max(own):.0f}" if own else ""
        parts.append(f"| {name} | {row['seconds']:.1f} | {row['peak_mb']:.0f} | {shown} |")
    first = index["rows"]["ours, first time"]
    parts.append(
        f"\nThe first time also decodes every picture; {first['decoded']:,} took {first['decoding_seconds']:.1f} s."
    )
    return parts


def deaths() -> list[str]:
    """Runs killed and resumed."""
    if not (RESULTS / "killed.json").exists():
        return []
    killed = result("killed")
    parts = [f"\n## Killed with SIGKILL at random moments, up to twice each, and resumed\n\n`{killed['command']}`\n"]
    parts.append("| workers | runs | with the undisturbed run's SHA-256 | deaths |\n| --- | --- | --- | --- |")
    for row in killed["rows"]:
        where = ", ".join(f"{count} {name}" for name, count in row["deaths"].items())
        parts.append(f"| {row['workers']} | {row['runs']} | {row['same']} | {where} |")
    return parts


def counted_lines() -> list[str]:
    """Lines of code for a network."""
    counted = result("lines")
    parts = [f"\n## Lines per network, comments included\n\n`{counted['command']}`\n"]
    parts.append("| files | lines | networks | lines per network |\n| --- | --- | --- | --- |")
    for row in counted["rows"]:
        parts.append(f"| {row['of']} | {row['lines']:,} | {row['networks']} | {row['per_network']:.0f} |")
    return parts


def reached() -> dict[str, str]:
    """What the recipes for a folder of pictures reached, for docs/recipes.md."""
    head, finetune, cifar = result("head"), result("finetune"), result("cifar10")
    best = sorted(head["ours"], key=lambda run: run["seconds"])[len(head["ours"]) // 2]
    return {
        "scratch": f"{cifar['top1']:.1%} of CIFAR-10's test pictures in {cifar['seconds'] / 60:.0f} min on one core (`{cifar['command']}`); "
        f"a plain torchvision loop beside it {cifar['plain']['top1']:.1%}.",
        "head": f"{best['top1']:.1%} of flowers12's test pictures in {best['seconds']:.0f} s, from BVLC's weights.",
        "finetune": (
            f"{finetune['top1']:.1%} of flowers12's test pictures in {finetune['seconds'] / 60:.1f} min on average of "
            f"{len(finetune['runs'])} seeds, from BVLC's weights; the classifier alone had {finetune['head_top1']:.1%} there. Ways that "
            "were tried before, on training pictures held out:\n\n" + "\n".join(finetune_pieces())
        ),
    }


def finetune_pieces() -> list[str]:
    """A table of the ways of fine-tuning."""
    pieces = result("finetune_pieces")
    runs = pieces["runs"]
    rows = ["| way | right | of the classifier alone | CPU seconds |", "| --- | --- | --- | --- |"]
    for way in dict.fromkeys(run["way"] for run in runs):
        mine = [run for run in runs if run["way"] == way]
        top1, head, seconds = (mean(run[name] for run in mine) for name in ("top1", "head_top1", "cpu_seconds"))
        rows.append(f"| {way} | {top1:.1%} | {head:.1%} | {seconds:.0f} |")
    n = pieces["held_out"] * len({run["fold"] for run in runs})
    share = mean(run["top1"] for run in runs)
    error = 100 * sqrt(share * (1 - share) / n)
    note = f" They were {pieces['note']}." if "note" in pieces else ""
    return [*rows, "", f"Shares of {n} pictures, with a standard error of {error:.1f} points.{note}"]


def judged() -> str:
    """The protocols of docs/judging.md as they were measured."""
    protocols = result("protocols")
    parts = [
        f"\n## Measured\n\n`{protocols['command']}`, BVLC's weights on {protocols['pictures']} photographs:\n",
        "| protocol | top-1 | top-5 | ms a picture | largest difference of a probability from an independent page |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in protocols["table"]:
        (low1, high1), (low5, high5) = row["intervals"]["top1"], row["intervals"]["top5"]
        parts.append(
            f"| `{row['protocol']}` | {row['top1']:.1%} ({low1:.1%} to {high1:.1%}) | {row['top5']:.1%} ({low5:.1%} to {high5:.1%}) "
            f"| {row['ms_per_picture']:.0f} | {row['largest_difference']:.1e}, {row['compared']} pictures |"
        )
    parts.append(
        "\n144 crops against the straightforward loop, one crop at a time through the same module in eager torch:\n"
    )
    parts.append(
        "| pictures | loop, s a picture | torch | ratio | OpenVINO fp32 | ratio |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, race in protocols["races"].items():
        seconds, ratios = race["seconds"], race["ratios"]
        parts.append(
            f"| {name} | {seconds['loop']:.2f} | {seconds['torch']:.2f} | {ratios['torch']:.1f} "
            f"| {seconds['openvino']:.2f} | {ratios['openvino']:.1f} |"
        )
    peaks = ", ".join(f"{mib:.0f} MiB for {int(count):,}" for count, mib in protocols["peak_mib"].items())
    parts.append(f"\nMemory at most, by pictures judged: {peaks}.")
    return "\n".join(parts) + "\n"


def optional(name: str) -> dict[str, Any] | None:
    """A result, if it was measured."""
    return result(name) if (RESULTS / f"{name}.json").exists() else None


def main() -> None:
    wrong = []
    studies = [result(path.stem) for path in sorted(RESULTS.glob("study_*.json"))]
    for path, text in (
        (ROOT / "README.md", summary()),
        (ROOT / "docs" / "results.md", details()),
        (ROOT / "docs" / "recipes.md", recipes_page.page(result("recipes"), reached())),
        (ROOT / "docs" / "studies.md", page.page(studies)),
        (ROOT / "docs" / "judging.md", judged() if (RESULTS / "protocols.json").exists() else ""),
        (ROOT / "docs" / "shipping.md", shipping_page.shipping(optional("agreement"), optional("install"))),
        (ROOT / "docs" / "predicting.md", shipping_page.predicting(optional("folder"))),
        (ROOT / "docs" / "serving.md", shipping_page.serving(optional("serve"))),
        (ROOT / "docs" / "scaling.md", scaling.render(result("scaling"))),
        (ROOT / "docs" / "speed.md", speed_page.page(*map(optional, ("engines", "first_answer")))),
        (ROOT / "docs" / "check.md", check_page.page(result("near_duplicates"))),
    ):
        before = path.read_text()
        after = MARK.sub(lambda found, text=text: found[1] + text + found[2], before)  # type: ignore[misc]
        if after != before:
            wrong.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(after)
    if wrong and "--check" in sys.argv:
        sys.exit(f"{' and '.join(wrong)} do not say what bench/results says; run: python -m bench.tables")


if __name__ == "__main__":
    main()
