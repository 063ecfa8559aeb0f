from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_images


def explain(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="MODEL")],
    paths: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", metavar="PATH")],
    method: Annotated[str, typer.Option(help="gradcam, integrated-gradients or occlusion.")] = "gradcam",
    layer: Annotated[
        str | None,
        typer.Option(help="A layer of the body; by default one that suits the network for gradcam, else the pixels."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--class", help="Class, by name or number; by default the prediction.", metavar="CLASS"),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of predictions for each image.", min=1)] = 5,
    out: Annotated[
        Path, typer.Option(help="Folder for drawings and explained.json; existing files are replaced.")
    ] = Path("explained"),
    json: Json = False,
) -> None:
    """Classify images, and draw where the network looked. Exit code 1 if some could not be read.

    inceptorch explain runs/flowers tulip.jpg

    inceptorch explain googlenet.bvlc holiday/ --class beagle --method occlusion
    """
    from inceptorch.classifier.hub import load
    from inceptorch.explanation.write import write
    from inceptorch.utils.progress import Progress

    def where(entry: dict[str, Any]) -> str:
        peak = "peak at x {:.0f}, y {:.0f}".format(*entry["peak"]) if entry["peak"] else "none found"
        return f"; evidence for {entry['label']}: {peak}: {entry['drawing']}"

    explained = write(load(model).to_best_device(), paths, out, method, layer, target, top)
    if not json:
        Progress().info(f"what a class looks like to the network: inceptorch visualize {model} --class NAME")
    print_images(explained, json, where)
