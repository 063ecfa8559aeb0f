from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.errors import RecipeError, RunError


def study(
    name: Annotated[str | None, typer.Argument(help="A study's name; without one, all are listed.")] = None,
    data: Annotated[str | None, typer.Option(help="The images to train and evaluate on, as for `train`.")] = None,
    seeds: Annotated[int, typer.Option(help="How many runs of each arm.")] = 5,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each run; by default as many as show it 50,000 images.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels; 32 by default.")] = None,
    limit: Annotated[int | None, typer.Option(help="Most images of a class, to train on and to evaluate with.")] = None,
    out: Annotated[Path | None, typer.Option(help="The study's folder; runs/NAME-DATA by default.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value of the recipe in all arms.", metavar="KEY=VALUE")
    ] = None,
    json: Json = False,
) -> None:
    """Put a claim of the papers to the test: several ways of training, several seeds each, and what can be told.

    inceptorch study label-smoothing --data cifar10/ --limit 500

    A study that was stopped goes on with the same command; more --seeds add to it.
    """
    from inceptorch.papers.studies.studies import STUDIES, get_study
    from inceptorch.training.recipe import parse_settings

    if name is None:
        if json:
            print_json([{"name": one.name, "question": one.question} for one in STUDIES.values()])
            return
        print_table([["study", "question"], *([one.name, one.question] for one in STUDIES.values())])
        return
    get_study(name)
    if data is None:
        raise RunError(f"Name the images to run {name} on: --data DATA.")
    values = parse_settings(settings or [])
    for flag, key, value in (
        ("epochs", "epochs", epochs),
        ("size", "size", size),
        ("limit", "max_images_per_class", limit),
    ):
        if value is not None and key in values:
            raise RecipeError(f"Give --{flag} or --set {key}=..., not both.")
        if value is not None:
            values[key] = value

    from inceptorch.papers.studies import page, run_study

    results = run_study(name, data, out=out, seeds=seeds, values=values)
    if json:
        print_json(results)
    else:
        print(page.text(results), end="")
