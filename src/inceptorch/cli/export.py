from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json

if TYPE_CHECKING:
    from inceptorch.deployment.export import ExportResult
    from inceptorch.deployment.quantize_boxes import BoxQuantizationReport


def export(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="MODEL")],
    out: Annotated[
        Path | None,
        typer.Option(help="FILE.onnx, or a new folder with --format openvino; by default MODEL's name, here."),
    ] = None,
    format: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    int8: Annotated[
        str | None,
        typer.Option(
            help="Images with labels or boxes for quantization to int8: calibration and evaluation.", metavar="DATA"
        ),
    ] = None,
    max_drop: Annotated[float, typer.Option(help="Largest drop of top-1, or mAP, by int8, in points.", min=0)] = 0.5,
    images: Annotated[
        Path | None, typer.Option(help="Images, or a folder, to compare engines on besides random images.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a classifier as one file that needs no torch: uint8 images in, probabilities and activation maps out.

    Of a detector, boxes with their scores and labels come out.

    Every installed engine is compared with torch first; if one disagrees, nothing is written.

    inceptorch export runs/flowers --out flowers.onnx

    inceptorch export runs/flowers --out flowers8 --format openvino --int8 flowers/
    """
    from inceptorch.deployment.export import export

    result = export(model, out, format=format, images=images, int8=int8, max_drop=max_drop)
    if json:
        print_json(result.to_dict())
    else:
        _print(result)


def _print(result: "ExportResult") -> None:
    from inceptorch.deployment.compare import Difference
    from inceptorch.deployment.quantize import QuantizationReport

    for each in result.differences:
        if isinstance(each, Difference):
            print(
                f"{each.engine} against {result.reference} on {result.images} images: probabilities differ by at most "
                f"{each.probability:.1g}, activation maps by {each.map:.1g} of their largest value"
            )
        else:
            print(
                f"{each.engine} against {result.reference} on {result.images} images with {each.boxes} boxes: "
                f"{1 - each.unequal:.1%} are equal, within {each.pixels:.1g} pixels and {each.score:.1g} in score"
            )
    report = result.int8
    if isinstance(report, QuantizationReport):
        low, high = report.top1_drop_interval
        print(
            f"int8: top-1 {report.top1_fp32:.2%} to {report.top1_int8:.2%} of {report.val_images} validation images "
            f"(drop {report.top1_drop:.2f} points, {low:.2f} to {high:.2f}); {report.images_per_second_fp32:.0f} to "
            f"{report.images_per_second_int8:.0f} images per second on {report.engine}"
        )
    elif report is not None:
        mean = "mAP not evaluated" if report.map50_drop is None else _mean(report)
        found = ", ".join(f"{1 - each.unequal:.0%} on {each.engine}" for each in report.differences)
        print(
            f"int8: {mean}; of the boxes with a score of {report.min_score:.2g}, {found} are those of fp32; "
            f"{report.images_per_second_fp32:.3g} to {report.images_per_second_int8:.3g} images per "
            f"second on {report.engine}"
        )
    print(f"{result.path} is ready; try: inceptorch predict {result.path} IMAGE")


def _mean(report: "BoxQuantizationReport") -> str:
    """The mAP before and after."""
    return (
        f"mAP {report.map50_fp32:.2%} to {report.map50_int8:.2%} on {report.val_images} validation images (drop "
        f"{report.map50_drop:.2f} points)"
    )
