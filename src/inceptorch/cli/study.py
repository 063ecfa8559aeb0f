from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.errors import RecipeError, RunError

WeightsOption = Annotated[
    str | None, typer.Option(help="Of detection-2014: network with weights; by default googlenet.bvlc.")
]
ProposalsOption = Annotated[
    list[str] | None,
    typer.Option(help="Of detection-2014: selective-search, both, boxes or grid; several times for several."),
]
ImagesOption = Annotated[
    int | None, typer.Option(help="Of detection-2014: maximum of training and of test images; by default 200.")
]
NetworksOption = Annotated[
    int | None, typer.Option(help="Of detection-2014: networks in the largest ensemble, 1 to 6; by default 6.")
]


def study(
    name: Annotated[str | None, typer.Argument(help="Name of a study; without one, all are listed.")] = None,
    data: Annotated[str | None, typer.Option(help="Images to train and evaluate on, as for train.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Number of runs for each arm; by default 5.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each run; by default as many as make 50,000 images.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Input size in pixels; by default 32.")] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum of images per class, in training and evaluation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; by default runs/NAME-DATA.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe value for all arms.", metavar="KEY=VALUE")
    ] = None,
    weights: WeightsOption = None,
    proposals: ProposalsOption = None,
    images: ImagesOption = None,
    networks: NetworksOption = None,
    json: Json = False,
) -> None:
    """Test a claim of the papers: several ways to train, several seeds each, and what the results show.

    inceptorch study label-smoothing --data cifar10/ --limit 500

    inceptorch study detection-2014 --data cells/

    The same command resumes a study; more --seeds add runs. With detection-2014, --epochs are those of its class-free
    detector, and --size is the longer side, by default 512.
    """
    from inceptorch.papers.studies.studies import DETECTION, get_study

    if name is None:
        _list(json)
        return
    if name != DETECTION:
        get_study(name)
    if data is None:
        raise RunError(f"Cannot run {name} without images. Name them with --data DATA.")
    of_detection = {"weights": weights, "proposals": proposals, "images": images, "networks": networks}
    of_training = {"seeds": seeds, "limit": limit, "set": settings}
    for option, value in (of_training if name == DETECTION else of_detection).items():
        if value is not None and value != []:
            raise RunError(f"Cannot use --{option} with {name}. Leave it out.")
    if name == DETECTION:
        from inceptorch.papers.studies.detection_2014 import page, run_detection_2014

        options: dict[str, Any] = {**of_detection, "size": size, "epochs": epochs}
        given = {key: value for key, value in options.items() if value is not None and value != []}
        _show(run_detection_2014(data, out=out, **given), page.text, json)
    else:
        values = _recipe_values(settings or [], epochs=epochs, size=size, limit=limit)
        from inceptorch.papers.studies import page as grid_page
        from inceptorch.papers.studies import run_study

        results = run_study(name, data, out=out, seeds=5 if seeds is None else seeds, values=values)
        _show(results, grid_page.text, json)


def _list(json: bool) -> None:
    from inceptorch.papers.studies.studies import DETECTION, DETECTION_QUESTION, STUDIES

    questions = {one.name: one.question for one in STUDIES.values()} | {DETECTION: DETECTION_QUESTION}
    if json:
        print_json([{"name": one, "question": question} for one, question in questions.items()])
    else:
        print_table([["study", "question"], *(list(one) for one in questions.items())])


def _show(results: dict[str, Any], text: Callable[[dict[str, Any]], str], json: bool) -> None:
    if json:
        print_json(results)
    else:
        print(text(results), end="")


def _recipe_values(settings: list[str], **options: int | None) -> dict[str, Any]:
    """The values of --set and of the options that stand for one."""
    from inceptorch.training.recipe import parse_settings

    values = parse_settings(settings)
    for flag, value in options.items():
        key = "max_images_per_class" if flag == "limit" else flag
        if value is not None and key in values:
            raise RecipeError(f"Give --{flag} or --set {key}=..., not both.")
        if value is not None:
            values[key] = value
    return values
