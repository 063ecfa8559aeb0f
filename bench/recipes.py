"""What the papers' recipes reach on an ordinary computer, on CIFAR-10 (re-encoded as JPEG): python -m bench.recipes [NAME...]

Each trains its own network, as published or narrower by the one rule, on part of the pictures and for a few epochs: enough to see
that it learns. Networks without batch normalisation are known to stall where their first weights are careless; `careless` shows it.
The curves are drawn in docs/recipes.png.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import inceptorch
from bench.common import RESULTS, SHARED, metrics, need, save, today
from inceptorch.bundle import Classifier
from inceptorch.files import write_whole
from inceptorch.model import Model
from inceptorch.nets import net
from inceptorch.nets.narrow import narrowed
from inceptorch.pixels import contract
from inceptorch.recipes import RECIPES, with_values
from inceptorch.spec import Net
from inceptorch.table import to_yaml

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SMALL = {"limit": 1000, "batch": 32, "checkpoint_minutes": 0}

# name: (recipe, network, settings beside SMALL)
RUNS: dict[str, tuple[str, Net, dict[str, Any]]] = {
    "szegedy2014": ("szegedy2014", net("googlenet"), {"size": 80, "limit": 500, "epochs": 12}),
    "careless": ("szegedy2014", net("googlenet"), {"size": 80, "limit": 500, "epochs": 3}),
    "bvlc_quick": ("bvlc_quick", net("googlenet"), {"size": 80, "limit": 500, "epochs": 6}),
    "ioffe2015": ("ioffe2015", narrowed(net("bn_inception_small"), 0.5), {"size": 32, "epochs": 8}),
    "szegedy2015": ("szegedy2015", narrowed(net("inception_v3_small"), 0.5), {"size": 32, "epochs": 8, "ema": 0.999}),
    "szegedy2016": ("szegedy2016", narrowed(net("inception_v4_small"), 0.375), {"size": 32, "epochs": 8, "ema": 0.999}),
}


def careless(table: Net, folder: str) -> str:
    """A bundle of the network whose weights are all drawn with deviation 0.01, whatever a layer's inputs."""
    torch.manual_seed(0)
    model = Model(table, len(CLASSES), size=80)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, 0, 0.01)
    Classifier(model, contract(80), CLASSES).save(f"{folder}/careless")
    return f"{folder}/careless"


def run(name: str) -> dict[str, Any]:
    """Train one; its curve and what it was."""
    recipe, table, settings = RUNS[name]
    values = {**SMALL, **settings}
    with tempfile.TemporaryDirectory() as folder:
        Path(f"{folder}/net.yaml").write_text(to_yaml(table))
        weights = careless(table, folder) if name == "careless" else None
        chosen = with_values(RECIPES[recipe], values)
        result = inceptorch.train(
            need(SHARED / "cifar10"), out=f"{folder}/run", net=f"{folder}/net.yaml", weights=weights, recipe=chosen
        )
        epochs = metrics(f"{folder}/run")
    about = {"recipe": recipe, "net": table.name, "settings": values, "top1": result.top1, "seconds": result.seconds}
    return {"name": name, "measured": today(), **about, "epochs": epochs}


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """Loss and accuracy of every recipe, by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for row in rows:
        at = [int(epoch["epoch"]) for epoch in row["epochs"]]
        style = {"ls": "--" if row["name"] == "careless" else "-", "marker": "o", "ms": 3}
        loss.plot(at, [float(epoch["train_loss"]) for epoch in row["epochs"]], label=row["name"], **style)
        accuracy.plot(at, [100 * float(epoch["top1"]) for epoch in row["epochs"]], **style)
    loss.set_title("training objective", loc="left")
    accuracy.set_title("per cent of the test pictures right", loc="left")
    accuracy.axhline(10, color="#888", lw=0.8, ls=":")
    for axes in (loss, accuracy):
        axes.set_xlabel("epoch")
        axes.grid(color="#d8dce0", lw=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=len(rows), frameon=False)
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


def main() -> None:
    kept = RESULTS / "recipes.json"
    rows = {row["name"]: row for row in json.loads(kept.read_text())["rows"]} if kept.exists() else {}
    for name in sys.argv[1:] or RUNS:
        rows[name] = run(name)
        ordered = [rows[each] for each in RUNS if each in rows]
        save("recipes", {"command": "python -m bench.recipes", "rows": ordered})
    draw(ordered, Path(__file__).parents[1] / "docs" / "recipes.png")


if __name__ == "__main__":
    main()
