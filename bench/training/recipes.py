"""What the papers' recipes reach on an ordinary computer, on CIFAR-10 (re-encoded as JPEG).

    python -m bench recipes [RECIPE...]

Each trains its own network, as published or narrower by the one rule, on part of the images and for a few epochs:
enough to see that it learns. Networks without batch normalization are known to stall where their first weights are
careless; `careless` shows it. The curves are drawn in docs/recipes.png.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

import inceptorch
from bench.common import DOCS, SHARED, Record, metrics, need, result, save
from bench.training import boxes, cifar10, cifar10_googlenet, finetune, finetune_pieces, head
from inceptorch.classifier.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import get_network
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from inceptorch.utils.files import atomic_write

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SMALL = {"max_images_per_class": 1000, "batch_size": 32, "checkpoint_minutes": 0}
AVERAGED = {"size": 32, "epochs": 8, "ema_decay": 0.999}
# A recipe's values that docs/recipes.md says in words, and those on how and not what it trains.
IN_WORDS = ("net", "epochs", "linear_probe_steps")
RUNTIME = ("checkpoint_every", "checkpoint_minutes", "num_workers", "precision", "compile")

# name: (recipe, network, settings beside SMALL)
RUNS: dict[str, tuple[str, NetworkSpec, dict[str, Any]]] = {
    "szegedy2014": ("szegedy2014", get_network("googlenet"), {"size": 80, "max_images_per_class": 500, "epochs": 12}),
    "careless": ("szegedy2014", get_network("googlenet"), {"size": 80, "max_images_per_class": 500, "epochs": 3}),
    "bvlc_quick": ("bvlc_quick", get_network("googlenet"), {"size": 80, "max_images_per_class": 500, "epochs": 6}),
    "ioffe2015": ("ioffe2015", narrowed(get_network("bn_inception_small"), 0.5), {"size": 32, "epochs": 8}),
    "szegedy2015": ("szegedy2015", narrowed(get_network("inception_v3_small"), 0.5), AVERAGED),
    "szegedy2016": ("szegedy2016", narrowed(get_network("inception_v4_small"), 0.375), AVERAGED),
}


def careless(table: NetworkSpec, folder: str) -> str:
    """A bundle of the network whose weights are all drawn with deviation 0.01, whatever a layer's inputs."""
    torch.manual_seed(0)
    model = Model(table, len(CLASSES), size=80)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, 0, 0.01)
    Classifier.of(model, default_preprocessing(80), CLASSES).save(f"{folder}/careless")
    return f"{folder}/careless"


def trained(name: str) -> Record:
    """Train one; its curve and what it was."""
    recipe, table, settings = RUNS[name]
    values = {**SMALL, **settings}
    with tempfile.TemporaryDirectory() as folder:
        Path(f"{folder}/net.yaml").write_text(to_yaml(table))
        weights = careless(table, folder) if name == "careless" else None
        chosen = with_values(RECIPES[recipe], values)
        ended = inceptorch.train(
            need(SHARED / "cifar10"), out=f"{folder}/run", net=f"{folder}/net.yaml", weights=weights, recipe=chosen
        )
        epochs = metrics(f"{folder}/run")
    about = {"recipe": recipe, "net": table.name, "settings": values, "top1": ended.top1, "seconds": ended.seconds}
    return {"name": name, **about, "epochs": epochs}


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
    accuracy.set_title("per cent of the test images correct", loc="left")
    accuracy.axhline(10, color="#888", lw=0.8, ls=":")
    for axes in (loss, accuracy):
        axes.set_xlabel("epoch")
        axes.grid(color="#d8dce0", lw=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=len(rows), frameon=False)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def run(*names: str) -> Record:
    rows = {row["name"]: row for row in (result("recipes") or {"rows": []})["rows"]}
    for name in names or RUNS:
        rows[name] = trained(name)
        record = {"n": {"seed": 1}, "rows": [rows[each] for each in RUNS if each in rows]}
        rows = {row["name"]: row for row in save("recipes", record)["rows"]}
    draw(list(rows.values()), DOCS / "recipes.png")
    return {"n": {"seed": 1}, "rows": list(rows.values())}


def render(record: Record) -> str:
    """A section for each recipe: its source, its network, what differs from the defaults, and what it reached."""
    rows = {row["name"]: row for row in record["rows"]}
    others = elsewhere()
    parts = []
    for name, recipe in RECIPES.items():
        parts.append(f"## {name}\n\nSource: {recipe.source}.\n")
        values = "".join(f", `{value}`" for value in differences(recipe))
        parts.append(f"Network {recipe.model.net}, {length(recipe)}{values}.\n")
        if name in others:
            parts.append(f"Here: {others[name]}\n")
        if name in rows:
            parts.append(f"Here: {in_words(rows[name])}\n")
        if name not in others and name not in rows:
            parts.append("Not run here yet.\n")
    parts.append("![losses and accuracy by epoch](recipes.png)\n")
    if "careless" in rows:
        parts.append(
            "As a counterexample, `careless` is `szegedy2014` with all initial weights drawn with a standard deviation "
            "of 0.01 (not a recipe to use). It ran on "
            f"{in_words(rows['careless'])}\n"
        )
    return "\n".join(parts)


def elsewhere() -> dict[str, str]:
    """What other measurements say of recipes."""
    found = {}
    for recipe, bench in {
        "scratch": cifar10_googlenet,
        "scratch-small": cifar10,
        "head": head,
        "finetune": finetune,
    }.items():
        if record := result(bench.__name__.rpartition(".")[2]):
            found[recipe] = bench.reached(record)
    if record := result("boxes"):
        found |= boxes.reached(record)
    if "finetune" in found and (pieces := result("finetune_pieces")):
        before = "Variants tried before, on a validation split of the training images:"
        found["finetune"] += f" {before}\n\n{finetune_pieces.render(pieces)}"
    return found


def length(recipe: Recipe) -> str:
    steps = recipe.optimization.linear_probe_steps
    head = f"{steps} steps of the linear probe" if steps else ""
    epochs = f"{recipe.schedule.epochs} epochs" if recipe.schedule.epochs else ""
    return " and ".join(part for part in (head, epochs) if part)


def differences(recipe: Recipe) -> list[str]:
    """The values in which a recipe is not every recipe's default."""
    defaults = Recipe("defaults").values()
    changed = {key: value for key, value in recipe.values().items() if value != defaults[key]}
    return [f"{key}={short(value)}" for key, value in changed.items() if key not in IN_WORDS + RUNTIME]


def short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(short, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def in_words(row: Record) -> str:
    """One run: on what, with which settings beside the recipe's, for how long, and to what."""
    settings = row["settings"]
    before, after = (float(row["epochs"][place]["train_loss"]) for place in (0, -1))
    said = (*IN_WORDS, *RUNTIME, "size", "max_images_per_class")
    others = ", ".join(f"`{key}={short(value)}`" for key, value in settings.items() if key not in said)
    return (
        f"{row['net']} at {settings['size']} pixels on {settings['max_images_per_class']} CIFAR-10 images per class, "
        f"{settings['epochs']} epochs, {others}: {row['top1']:.1%} of the test images in "
        f"{row['seconds'] / 60:.0f} min. The training loss went from {before:.3f} to {after:.3f}."
    )
