"""Whether an earlier revision and the working tree compute the same, to the last bit.

    python -m bench same_bits [REVISION]

Both trees, the earlier one (by default d08aac8) as a git worktree in a temporary folder, run the same commands on one
thread with the same interpreter. Compared are the SHA-256 of the final weights of four runs, and what `predict` and
`eval` print for photographs.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from safetensors import safe_open

from bench.common import ROOT, SHARED, Record, command, need
from bench.package.before_after import BEFORE, Tree, checkout
from inceptorch.cli.demo import write_digits

# The values of a recipe, by their names in version 0.1 and today.
NAMES = {
    "batch": "batch_size",
    "crop_area": "crop_scale",
    "crop_aspect": "crop_ratio",
    "ema": "ema_decay",
    "flip": "hflip",
    "limit": "max_images_per_class",
}


def settings(tree: Tree, **values: object) -> list[str]:
    """`--set` for these values of version 0.1."""
    old = not (tree.root / "src" / "inceptorch" / "training" / "recipe.py").exists()
    words = []
    for name, value in values.items():
        key = name if old else NAMES.get(name, name)
        words += ["--set", f"{key}={0 if key == 'hflip' and value == 'false' else value}"]
    return words


def runs(tree: Tree, digits: Path) -> dict[str, list[object]]:
    """The words of `train` for each run, by its name."""
    flowers, weights = need(SHARED / "flowers12"), ("--weights", tree.folder / "googlenet")
    digit = {"size": 28, "channels": "gray", "crop_area": "[0.75,1]", "crop_aspect": "[0.8,1.25]", "flip": "false"}
    return {
        "scratch": [digits, "--net", "googlenet_small", "--epochs", 2, *settings(tree, **digit, ema=0.95, limit=40)],
        "head": [flowers, *weights, "--recipe", "head", *settings(tree, limit=20)],
        "finetune": [flowers, *weights, "--recipe", "finetune", "--epochs", 1, *settings(tree, limit=20)],
        "szegedy2015": [
            *(flowers, "--net", "inception_v3_small", "--recipe", "szegedy2015", "--epochs", 2),
            *settings(tree, size=64, batch=16, limit=20),
        ],
    }


def digest(file: Path) -> str:
    """The SHA-256 of all tensors of a file and their names."""
    found = hashlib.sha256()
    with safe_open(file, framework="numpy") as tensors:
        for name in sorted(tensors.keys()):
            found.update(name.encode() + tensors.get_tensor(name).tobytes())
    return found.hexdigest()


def digests(tree: Tree, digits: Path) -> dict[str, str]:
    """What a tree computes, as hashes by name."""
    tree.prepare()
    found = {}
    for name, words in runs(tree, digits).items():
        tree.run("train", *words, "--seed", 1, "--out", tree.folder / name)
        found[f"weights of {name}"] = digest(tree.folder / name / "model.safetensors")
    photos = sorted(need(SHARED / "photos").glob("*.png"))
    for model in ("googlenet", "googlenet.onnx"):
        text = tree.run("predict", tree.folder / model, *photos, "--json", "--top", 5)
        found[f"predictions of {model} on {len(photos)} photographs"] = hashlib.sha256(text.encode()).hexdigest()
    scores = json.loads(tree.run("eval", tree.folder / "finetune", SHARED / "flowers12", "--json"))
    shown = json.dumps([scores[key] for key in ("n", "top1", "top5")])
    found["top-1 and top-5 of finetune"] = hashlib.sha256(shown.encode()).hexdigest()
    return found


def run(revision: str = BEFORE) -> Record:
    os.environ |= {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as temporary, checkout(revision, Path(temporary) / "before") as root:
        folder = Path(temporary)
        write_digits(folder / "digits")
        before = digests(Tree(root, folder / "a"), folder / "digits")
        after = digests(Tree(ROOT, folder / "b"), folder / "digits")
    rows = [{"what": name, "before": value, "after": after[name]} for name, value in before.items()]
    return {"n": {"run of each": 1}, "before": revision, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## The same bits as {record['before']}\n\n`{command(record)}`\n"]
    parts.append("| what | SHA-256 before | SHA-256 after | equal |\n| --- | --- | --- | --- |")
    for row in record["rows"]:
        equal = "yes" if row["before"] == row["after"] else "no"
        parts.append(f"| {row['what']} | {row['before'][:12]} | {row['after'][:12]} | {equal} |")
    return "\n".join(parts)
