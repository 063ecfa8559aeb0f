from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_images


def explain(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", metavar="PATH...")],
    method: Annotated[str, typer.Option(help="gradcam, integrated-gradients or occlusion.")] = "gradcam",
    row: Annotated[
        str | None,
        typer.Option(help="A row of the body; without one gradcam takes what fits the network, the others the pixels."),
    ] = None,
    wanted: Annotated[
        str | None, typer.Option("--class", help="By name or number; by default the first answer.", metavar="CLASS")
    ] = None,
    top: Annotated[int, typer.Option(help="How many answers for each image.", min=1)] = 5,
    out: Annotated[
        Path, typer.Option(help="The folder for drawings and explained.json; those of the same name are replaced.")
    ] = Path("explained"),
    json: Json = False,
) -> None:
    """Say what is in images, and draw where the network looked. Exit code 1 if some could not be read.

    inceptorch explain runs/flowers tulip.jpg

    inceptorch explain googlenet.bvlc holiday/ --class beagle --method occlusion
    """
    from inceptorch.classifier.hub import load
    from inceptorch.explanation.write import write

    entries = write(load(model).to_best_device(), paths, out, method, row, wanted, top)
    print_images(entries, json, _where)


def _where(entry: dict[str, Any]) -> str:
    place = "most at x {:.0f}, y {:.0f}".format(*entry["peak"]) if entry["peak"] else "nowhere"
    return f"; looked for {entry['label']} {place}: {entry['drawing']}"
