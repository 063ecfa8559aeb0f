from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json


def export(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.")],
    out: Annotated[Path, typer.Option(help="FILE.onnx; with --format openvino, a new folder.")],
    format: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    int8: Annotated[
        str | None,
        typer.Option(
            help="Compute in 8 bits: labelled images to calibrate on and to evaluate what it costs.", metavar="DATA"
        ),
    ] = None,
    max_drop: Annotated[float, typer.Option(help="Points of top-1 that 8 bits may cost.", min=0)] = 0.5,
    images: Annotated[
        Path | None,
        typer.Option(help="Images, or a folder of them, on which to compare engines besides random ones."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a classifier as one file that needs no torch: uint8 images in, probabilities and activation maps out.

    Every engine that is installed answers first; where one differs from torch, nothing is written.

    inceptorch export runs/flowers --out flowers.onnx

    inceptorch export runs/flowers --out flowers8 --format openvino --int8 flowers/
    """
    from inceptorch.deployment.export import export as exported
    from inceptorch.utils.progress import Progress

    result = exported(model, out, format=format, images=images, int8=int8, max_drop=max_drop, progress=Progress())
    if json:
        print_json(result.to_dict())
        return
    print_exported(result)


def print_exported(result: Any) -> None:
    for one in result.differences:
        print(
            f"{one.engine} against {result.reference} on {result.images} images: probabilities at most "
            f"{one.probability:.1g} apart, activation maps {one.map:.1g} of their largest value"
        )
    if result.int8 is not None:
        found = result.int8
        low, high = found.drop_interval
        print(
            f"8 bits: top-1 {found.top1_fp32:.2%} to {found.top1_int8:.2%} of {found.evaluated} validation images (loss "
            f"{found.drop:.2f} points, {low:.2f} to {high:.2f}); {found.per_second_fp32:.0f} to "
            f"{found.per_second_int8:.0f} images per second on {found.engine}"
        )
    print(f"{result.path} is ready; try: inceptorch predict {result.path} IMAGE")
