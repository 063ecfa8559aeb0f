"""What docs/recipes.md says of each recipe's values and results."""

from dataclasses import fields
from typing import Any

from inceptorch.recipes import RECIPES, Recipe

QUIET = ("name", "source", "net", "epochs", "checkpoint_every", "checkpoint_minutes", "workers", "precision", "compile")


def page(results: dict[str, Any], reached: dict[str, str]) -> str:
    """A section for each recipe: its source, its network, what differs from the defaults, and the result it reached.

    `results` is the record of bench.recipes; `reached` are sentences on the recipes that other measurements are of.
    """
    rows = {row["name"]: row for row in results["rows"]}
    parts = []
    for name, recipe in RECIPES.items():
        parts.append(f"## {name}\n\nSource: {recipe.source}.\n")
        values = "".join(f", `{value}`" for value in differences(recipe))
        parts.append(f"Network {recipe.net}, {length(recipe)}{values}.\n")
        if name in reached:
            parts.append(f"Here: {reached[name]}\n")
        if name in rows:
            parts.append(f"Here: {in_words(rows[name])}\n")
        if name not in reached and name not in rows:
            parts.append("It was not run here yet.\n")
    parts.append("![losses and accuracy by epoch](recipes.png)\n")
    if "careless" in rows:
        parts.append(
            "`careless` is `szegedy2014` on the same network with all first weights drawn with a deviation of 0.01: "
            f"{in_words(rows['careless'])}\n"
        )
    return "\n".join(parts)


def length(recipe: Recipe) -> str:
    head = f"{recipe.head_steps} steps for the classifier alone" if recipe.head_steps else ""
    epochs = f"{recipe.epochs} epochs" if recipe.epochs else ""
    return " and ".join(part for part in (head, epochs) if part)


def differences(recipe: Recipe) -> list[str]:
    """The values in which a recipe is not every recipe's default."""
    found = []
    for field in fields(Recipe):
        value = getattr(recipe, field.name)
        if field.name not in (*QUIET, "head_steps") and value != field.default:
            shown = "[" + ", ".join(map(short, value)) + "]" if isinstance(value, tuple) else short(value)
            found.append(f"{field.name}={shown}")
    return found


def short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(short, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def in_words(row: dict[str, Any]) -> str:
    """One run: on what, for how long, to what."""
    settings = row["settings"]
    first, last = row["epochs"][0], row["epochs"][-1]
    return (
        f"{row['net']} at {settings['size']} pixels on {settings['limit']} CIFAR-10 pictures of each class, "
        f"{settings['epochs']} epochs: {row['top1']:.1%} of the test pictures in {row['seconds'] / 60:.0f} min; the training "
        f"objective went from {float(first['train_loss']):.3f} to {float(last['train_loss']):.3f}."
    )
