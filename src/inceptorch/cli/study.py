from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.errors import RecipeError, RunError


def study(
    name: Annotated[str | None, typer.Argument(help="Name of a study; without one, all are listed.")] = None,
    data: Annotated[str | None, typer.Option(help="Images to train and evaluate on, as for train.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of runs for each arm.")] = 5,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each run; by default as many as make 50,000 images.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Input size in pixels; by default 32.")] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum of images per class, in training and evaluation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; by default runs/NAME-DATA.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe value for all arms.", metavar="KEY=VALUE")
    ] = None,
    json: Json = False,
) -> None:
    """Test a claim of the papers: several ways to train, several seeds each, and what the results show.

    inceptorch study label-smoothing --data cifar10/ --limit 500

    The same command resumes a study; more --seeds add runs.
    """
    from inceptorch.papers.studies.studies import STUDIES, get_study
    from inceptorch.training.recipe import parse_settings

    if name is None:
        if json:
            print_json([{"name": one.name, "question": one.question} for one in STUDIES.values()])
        else:
            print_table([["study", "question"], *([one.name, one.question] for one in STUDIES.values())])
        return
    get_study(name)
    if data is None:
        raise RunError(f"Cannot run {name} without images. Name them with --data DATA.")
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
