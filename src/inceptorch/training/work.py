"""What a run works on: found, checked and built before anything is written, and found again to go on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from inceptorch.classifier.classifier import Classifier, copy_weights, load
from inceptorch.classifier.hub import folder_of
from inceptorch.data import Split, find_train_and_held_out, fingerprint, limited, without_unreadable
from inceptorch.data.locator import absolute, lies_inside
from inceptorch.errors import RecipeError, RunError
from inceptorch.images.preprocessing import contract
from inceptorch.models.module import Model
from inceptorch.networks.complexity import check_size
from inceptorch.networks.layers import Linear
from inceptorch.networks.network import NetworkSpec, with_dropout
from inceptorch.networks.zoo import get_network
from inceptorch.recipes import Recipe, find_recipe
from inceptorch.runtime.distributed import Processes, processes
from inceptorch.training.memory import remedy_for_memory
from inceptorch.training.run import Run, free_folder, read_run
from inceptorch.training.schedule import side
from inceptorch.training.step import precision
from inceptorch.utils.files import refuse_if_used
from inceptorch.utils.progress import Progress


@dataclass
class Work:
    """What a run works on: the classifier it trains, the pictures to train on and to judge with."""

    run: Run
    classifier: Classifier
    train: Split
    held_out: Split


def prepared(
    data: str | Path,
    out: str | Path | None,
    net: str | None,
    weights: str | Path | None,
    recipe: str | Recipe | None,
    seed: int,
    world: Processes,
    progress: Progress,
) -> Work:
    """What a run with the words of `train` works on, every picture looked at; nothing is written yet."""
    data = absolute(data)
    given = folder_of(weights) if weights else None
    if not 0 <= seed < 2**63:
        raise RecipeError(f"The seed is {seed}; it must be a whole number from 0 to {2**63 - 1}.")
    recipe = _chosen(recipe, weights)
    if recipe.head_steps and not weights:
        raise RecipeError(f"Recipe {recipe.name!r} trains a classifier on given weights; name them with --weights.")
    if recipe.freeze and not weights:
        raise RecipeError("freeze keeps rows of given weights as they are; name the weights with --weights.")
    if recipe.epochs and recipe.batch < 2 * world.count:
        raise RecipeError(
            f"A batch of {recipe.batch} is too small for {world.count} processes; give each two pictures or more: "
            f"--set batch={2 * world.count}."
        )
    folder = Path(out) if out else free_folder(data)
    refuse_if_used(folder)
    if lies_inside(folder, data):
        raise RunError(f"{folder} lies inside the pictures in {data}, which are never written to; name another --out.")

    train_split, held_out = find_train_and_held_out(data, recipe.held_out_share, seed)
    whole = fingerprint(train_split, held_out)
    train_split, held_out = (limited(split, recipe.limit, seed) for split in (train_split, held_out))
    classifier = _begin(recipe, get_network(net) if net else None, given, train_split.classes, seed)
    train_split, skipped = without_unreadable(train_split, progress)
    held_out, skipped_held_out = without_unreadable(held_out, progress)
    recipe = replace(recipe, net=classifier.model.net.name)
    recipe = replace(recipe, precision=precision(recipe, world.device))
    run = Run(folder, data, given, recipe, classifier.model.net, seed, whole, skipped + skipped_held_out)
    return Work(run, classifier, train_split, held_out)


@contextmanager
def on_trial(
    data: str | Path,
    net: str | None,
    weights: str | Path | None,
    recipe: str | Recipe | None,
    seed: int,
    progress: Progress,
    needs_steps: bool = True,
) -> Iterator[tuple[Work, Processes]]:
    """What a run with these words works on, for one process to try something on; its folder goes when this ends. Raises
    RecipeError where steps are needed and the recipe has none."""
    recipe = _chosen(recipe, weights)
    if needs_steps and not recipe.epochs:
        raise RecipeError(f"Recipe {recipe.name!r} trains the classifier alone, in no steps; name another --recipe.")
    with processes(together=False) as world, tempfile.TemporaryDirectory() as folder:
        work = prepared(data, Path(folder) / "run", net, weights, recipe, seed, world, progress)
        with remedy_for_memory(work.run.recipe):
            yield work, world


def _chosen(recipe: str | Recipe | None, weights: str | Path | None) -> Recipe:
    """The recipe asked for, or the one that serves."""
    if recipe is None:
        recipe = "head" if weights else "scratch"
    return find_recipe(recipe) if isinstance(recipe, str) else recipe


def reopened(folder: Path) -> Work:
    """What the run in a folder works on."""
    run = read_run(folder)
    # A run's file may come from a stranger: it decides on no download.
    splits = find_train_and_held_out(run.data, run.recipe.held_out_share, run.seed, download=False)
    if fingerprint(*splits) != run.fingerprint:
        raise RunError(f"{run.data} is not what it was when {folder} began; start a new run with inceptorch train.")
    train_split, held_out = (limited(split, run.recipe.limit, run.seed) for split in splits)
    if run.skipped:
        left_out = {one["file"] for one in run.skipped}
        train_split, held_out = (
            split.keep([i for i in range(len(split)) if split.file(i) not in left_out])
            for split in (train_split, held_out)
        )
    classifier = _begin(run.recipe, run.net, run.weights, train_split.classes, run.seed)
    return Work(run, classifier, train_split, held_out)


def _begin(
    recipe: Recipe, net: NetworkSpec | None, weights: Path | None, classes: tuple[str, ...], seed: int
) -> Classifier:
    """The classifier a run begins from: the network for these classes, with fresh or given weights. Pictures of a size
    that is too small for it are refused here, before the first batch."""
    given = load(weights) if weights else None
    if given and net and net.name != given.model.net.name:
        raise RecipeError(f"{weights} holds the network {given.model.net.name!r}, not {net.name!r}; leave out --net.")
    table = net or (given.model.net if given else get_network(recipe.net))
    aux = bool(table.aux) and recipe.aux_weight > 0 and recipe.epochs > 0
    pixels = given.pixels if given else contract(recipe.size or table.size, recipe.channels)
    if recipe.size and recipe.size != pixels.size:
        pixels = replace(pixels, size=recipe.size, resize=round(recipe.size * pixels.resize / pixels.size))
    if recipe.dropout >= 0:
        table = with_dropout(table, recipe.dropout)
    _check_growth(recipe, table, aux, pixels.size)
    torch.manual_seed(seed)
    model = Model(table, len(classes), pixels.in_chans, aux=aux, size=pixels.size)
    if given:
        copy_weights(given.model, model)
    frozen = recipe.frozen_rows(table)
    if frozen > len(model.body):
        raise RecipeError(f"{table.name} has {len(model.body)} rows to freeze, not {frozen}: --set freeze=0.")
    for row in model.body[:frozen]:
        row.requires_grad_(False)
    return Classifier(model.to(memory_format=torch.channels_last), pixels, list(classes))


def _check_growth(recipe: Recipe, table: NetworkSpec, aux: bool, size: int) -> None:
    """Raise where squares are to grow before fully connected layers, which take one size alone, or begin too small."""
    sides = {side(recipe, size, epoch) for epoch in range(recipe.epochs)} - {size}
    if not sides:
        return
    heads = {**table.head, **((table.aux_head or {}) if aux else {})}
    if any(isinstance(row, Linear) for row in heads.values()):
        main = any(isinstance(row, Linear) for row in table.head.values())
        remedy = "growth=[[0,1],[1,1]]" if main else "aux_weight=0"
        raise RecipeError(f"{table.name} has fully connected layers, which take one size alone; --set {remedy}.")
    check_size(table, min(sides), aux)
