"""Blood cells and playing cards: detectors from BVLC's weights on this machine, beside torchvision's.

    python -m bench boxes [SEEDS [WAYS]]

WAYS are some of cells, cards, peers, random, joined by commas; what was measured before keeps its rows. Ours is
`inceptorch train DATA --weights BUNDLE`, which leaves the body as it is, then the same with that run as weights and
`--recipe boxes --epochs 12 --lr 0.0007`. Each run is evaluated on the test images as published, by VOC's rule with all
points. No weights of torchvision's detectors are at hand, so they begin from random ones, and train for as many seconds
as ours (boxes_plain.py). The way `random` is ours from random weights, in about the same seconds. Figures that others
publish for these images are from GPUs.
"""

import json
import subprocess
import sys
import tempfile
from statistics import mean, stdev

from bench.common import SHARED, Record, bvlc, command, need, result

PEERS = ("fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large")
# mAP at IoU 0.5 on BCCD's 72 test images, trained from scratch on GPUs (README of github mkang315/CST-YOLO).
PUBLISHED = {"RT-DETR-R50": 0.875, "YOLOv7": 0.896, "YOLOv5x": 0.923, "CST-YOLO": 0.927}
RANDOM = ["--net", "googlenet_bn", "--recipe", "boxes", "--set", "layer_decay=1"]  # no layer is nearly right
FINETUNE = ["--recipe", "boxes", "--epochs", 12, "--lr", 0.0007]
STEPS = {"cells": ("frozen", "finetuned"), "cards": ("cards", "cards finetuned")}
NAMES = {
    "frozen": "BCCD, frozen body (`boxes-head`)",
    "finetuned": "BCCD, that, then the whole network (`boxes`)",
    "cards": "playing cards, frozen body (`boxes-head`)",
    "cards finetuned": "playing cards, that, then the whole network (`boxes`)",
    "random": "BCCD, from random weights in the time of the first (`boxes`, `googlenet_bn`)",
}


def run(seeds: str = "3", ways: str = "cells,cards,peers,random") -> Record:
    before = result("boxes")
    anew = [STEPS.get(way, (way,)) for way in ways.split(",")]
    rows = [row for row in before["rows"] if row["way"] not in sum(anew, ())] if before else []
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        for way in ways.split(","):
            if way == "peers":
                like = [row for row in rows if row["way"] == "frozen"]
                seconds = mean(row["seconds"] for row in like) if like else 600
                rows += [_peer(name, seconds) for name in PEERS]
                continue
            if way == "random":
                rows += _random(rows, int(seeds), folder)
                continue
            for seed in range(int(seeds)):
                out = f"{folder}/{way}{seed}"
                head, whole = STEPS[way]
                first = _ours(head, str(bundle), seed, out)
                tuned = _ours(whole, out, seed, f"{out}-tuned", *FINETUNE)
                rows += [first, {**tuned, "seconds": round(first["seconds"] + tuned["seconds"], 1)}]
    return {"n": {"runs": len(rows)}, "rows": rows, "published": PUBLISHED}


def _ours(way: str, weights: str | None, seed: int, out: str, *options: object) -> Record:
    data = need(SHARED / ("cards" if way.startswith("cards") else "bccd"))
    words = [data, *(["--weights", weights] if weights else []), "--seed", seed, "--out", out, *options]
    trained = _json("-m", "inceptorch", "train", *words, "--json")
    scored = _json("-m", "inceptorch", "eval", out, data, "--split", "test", "--json")
    classes = {name: each["ap50"] for name, each in scored["per_class"].items()}
    return {
        "way": way,
        "seed": seed,
        "seconds": trained["seconds"],
        "map50": scored["map50"],
        "interval": scored["intervals"]["map50"],
        "per_class": classes,
        "n": {"images": scored["n"]},
    }


def _random(rows: list[Record], seeds: int, folder: str) -> list[Record]:
    """Ours from random weights, in as many epochs as take about the seconds of the frozen body."""
    like = [row["seconds"] for row in rows if row["way"] == "frozen"]
    words = ["-m", "inceptorch", "train", need(SHARED / "bccd"), *RANDOM, "--json", "--out"]
    one, two = (_json(*words, f"{folder}/epochs{epochs}", "--epochs", epochs)["seconds"] for epochs in (1, 2))
    more = ((mean(like) if like else 600) - one) / max(two - one, 1e-3)
    words = [*RANDOM, "--epochs", max(1, round(1 + more))]
    return [_ours("random", None, seed, f"{folder}/random{seed}", *words) for seed in range(seeds)]


def _peer(name: str, seconds: float) -> Record:
    found = _json("-m", "bench.training.boxes_plain", need(SHARED / "bccd"), name, seconds)
    return {"way": "peers", "network": name, "seed": 0, **found}


def _json(*words: object) -> Record:
    done = subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True, text=True)
    found: Record = json.loads(done.stdout)
    return found


def render(record: Record) -> str:
    parts = [f"## Boxes\n\n`{command(record)}`\n"]
    if any(row.get("shared") for row in record["rows"]):
        parts.append("Seconds are those of runs that had the machine to themselves; other seeds shared it.\n")
    parts.append("| detector | seeds | mAP at IoU 0.5 on the test images | seconds |\n| --- | ---: | --- | ---: |")
    for way, name in NAMES.items():
        rows = [row for row in record["rows"] if row["way"] == way]
        if rows:
            parts.append(f"| {name} | {len(rows)} | {_score(rows)} | {_seconds(rows):.0f} |")
    for row in record["rows"]:
        if row["way"] == "peers":
            what = f"torchvision's {row['network']} from random weights"
            parts.append(f"| {what} | 1 | {row['map50']:.3f} | {row['seconds']:.0f} |")
    parts += [f"| {name}, as published, on a GPU | | {score:.3f} | |" for name, score in record["published"].items()]
    for way, name in NAMES.items():
        rows = [row for row in record["rows"] if row["way"] == way]
        if rows:
            classes = {each: mean(row["per_class"][each] for row in rows) for each in rows[0]["per_class"]}
            parts.append(f"\n{name}, by class: {', '.join(f'{each} {ap:.3f}' for each, ap in classes.items())}.")
    return "\n".join(parts)


def reached(record: Record) -> dict[str, str]:
    """The results of both recipes, for docs/recipes.md."""
    found = {}
    for recipe, way in (("boxes-head", "frozen"), ("boxes", "finetuned")):
        if rows := [row for row in record["rows"] if row["way"] == way]:
            after = ", with the time of `boxes-head` before it" if way == "finetuned" else ""
            minutes = f"{_seconds(rows) / 60:.1f} min from BVLC's weights{after}"
            found[recipe] = f"mAP {_score(rows)} on BCCD's test images in {minutes}."
    return found


def _seconds(rows: list[Record]) -> float:
    """The mean of the runs that had the machine to themselves."""
    return float(mean(row["seconds"] for row in rows if not row.get("shared")))


def _score(rows: list[Record]) -> str:
    """The mean of the seeds with their spread, or of one seed with its interval over the images."""
    scores = [row["map50"] for row in rows]
    if len(scores) == 1:
        low, high = rows[0]["interval"]
        return f"{scores[0]:.3f} ({low:.3f} to {high:.3f} over images)"
    return f"{mean(scores):.3f}, standard deviation {stdev(scores):.3f}"
