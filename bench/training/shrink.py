"""flowers12 from BVLC's weights, at half and a quarter of the multiply-adds: four ways to choose the channels.

    python -m bench shrink [SEEDS [EPOCHS [IMAGES]]]

The network is fine-tuned once. Each seed draws the images on which channels are compared, the channels of `random`, and
all of fine-tuning, which has the original as its teacher. `correlation` refits by least squares. The others delete, as
in their papers; `random` is there with the refit, too, which tells the choice from the refit.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

from bench.common import SHARED, Record, bvlc, command, need

COSTS = (0.5, 0.25)
ARMS = {
    "correlation": ["--by", "correlation"],
    "random with refit": ["--by", "random", "--refit"],
    "taylor": ["--by", "taylor"],
    "l1": ["--by", "l1"],
    "random": ["--by", "random"],
}
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for 95 %, by the number of seeds


def run(seeds: str = "3", epochs: str = "6", images: str = "720") -> Record:
    flowers = need(SHARED / "flowers12")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original"
        given = ["--weights", str(bvlc(folder)), "--recipe", "finetune", "--out", str(original)]
        subprocess.run([sys.executable, "-m", "inceptorch", "train", str(flowers), *given], check=True)
        for cost in COSTS:
            for arm, options in ARMS.items():
                words = ["--cost", str(cost), "--epochs", epochs, "--images", images, *options]
                curves = [
                    shrunk(original, flowers, words, f"{folder}/{cost}-{arm}-{seed}", seed)
                    for seed in range(int(seeds))
                ]
                rows.append({"arm": arm, "asked": cost, "curves": curves})
    return {
        "command": "python -m bench shrink",
        "n": {"seeds": int(seeds), "epochs": int(epochs), "images for choosing": int(images), "test images": 240},
        "table": rows,
    }


def shrunk(original: Path, flowers: Path, words: list[str], out: str, seed: int) -> list[Record]:
    """The curve of one `shrink` from the shell."""
    line = ["shrink", original, flowers, *words, "--seed", str(seed), "--out", out, "--json"]
    done = subprocess.run([sys.executable, "-m", "inceptorch", *map(str, line)], check=True, stdout=subprocess.PIPE)
    curve: list[Record] = json.loads(done.stdout)
    return curve


def interval(values: list[float]) -> str:
    """A mean in per cent, with its 95 % interval over seeds."""
    if len(values) not in T95:
        return f"{mean(values):.1%}"
    half = T95[len(values)] * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.1%} ± {100 * half:.1f}"


def render(record: Record) -> str:
    first = record["table"][0]["curves"][0][0]
    lines = [
        f"`{command(record)}`. The fine-tuned original has {first['top1']:.1%} of the test images, and takes "
        f"{milliseconds([first])}. Top-1 with the 95 % interval over seeds:\n",
        "| multiply-adds | channels by | top-1, cut | top-1, fine-tuned | ms fp32, int8 | times as fast | parameters |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in record["table"]:
        originals, cut, tuned = zip(*row["curves"], strict=True)
        cost = f"{mean(step['cost'] for step in tuned):.0%}"
        accuracy = [interval([step["top1"] for step in steps]) for steps in (cut, tuned)]
        params = f"{mean(step['params'] for step in tuned) / 1e6:.2f} M"
        cells = [cost, row["arm"], *accuracy, milliseconds(tuned), faster(originals, tuned), params]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def milliseconds(steps: "list[Record] | tuple[Record, ...]") -> str:
    found = [mean(step[f"ms_{each}"] for step in steps) for each in ("fp32", "int8") if steps[0][f"ms_{each}"]]
    return ", ".join(f"{each:.2f}" for each in found) + " ms"


def faster(before: tuple[Record, ...], after: tuple[Record, ...]) -> str:
    """How many times as fast the smaller network is, in fp32 and int8, each measured in the same call."""
    ratios = [
        mean(a[f"ms_{each}"] / b[f"ms_{each}"] for a, b in zip(before, after, strict=True))
        for each in ("fp32", "int8")
        if before[0][f"ms_{each}"]
    ]
    return ", ".join(f"{each:.2f}" for each in ratios)
