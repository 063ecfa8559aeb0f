import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption, measure_engines
from inceptorch.cli.output import Json, print_images, print_json

if TYPE_CHECKING:
    from inceptorch.classifier import ClassifierConfig
    from inceptorch.inference.draw_boxes import Drawings
    from inceptorch.inference.engines import Engine
    from inceptorch.inference.inputs import Entry
    from inceptorch.inference.options import BoxOptions, PredictOptions
    from inceptorch.utils.progress import Progress

MEASURE_FROM = 1000  # images, which take far longer than the measurement

ModelArgument = Annotated[
    str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.", metavar="MODEL")
]
PathsArgument = Annotated[list[Path], typer.Argument(help="Images and folders of images.", metavar="PATH")]
RejectOption = Annotated[
    bool,
    typer.Option(
        "--reject",
        help="Flag images that match none of the classes as unknown, by the model's own threshold (--min-confidence "
        "sets another).",
    ),
]
TopOption = Annotated[int | None, typer.Option(help="Number of classes for each image; by default 5.", min=1)]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        help="Crops to average: center (the default), 6view, 10crop, 12crop, 144crop, low-resolution or FILE.yaml."
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        help="Probability, 0 to 1, below which an image is unknown; of a detector, score below which a box is left "
        "out, by default the model's own.",
        min=0,
        max=1,
    ),
]
DistanceOption = Annotated[
    bool,
    typer.Option(
        "--distance",
        help="Distance of each image from the training images, and whether it is out of distribution (OOD), by the "
        "features of a run of recipe head; on torch.",
    ),
]
TileOption = Annotated[
    bool,
    typer.Option(
        "--tile", help="Search images larger than a detector's own size in overlapping tiles, for small objects."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Output file, .jsonl, .csv or .parquet, and for boxes .json (COCO); the same command resumes it."
    ),
]
DrawOption = Annotated[
    Path | None, typer.Option(help="New folder for the images with their boxes drawn.", metavar="FOLDER")
]
MeasureOption = Annotated[
    bool,
    typer.Option(
        "--measure/--no-measure",
        help=f"Measurement of a model's engines before {MEASURE_FROM:,} images or more, once and for a few seconds; "
        "only with --engine auto.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(help="Address of a Ray cluster, with --out; `local` starts one on this machine.", metavar="ADDRESS"),
]


def predict(
    model: ModelArgument,
    paths: PathsArgument,
    top: TopOption = None,
    protocol: ProtocolOption = None,
    reject: RejectOption = False,
    min_confidence: MinConfidenceOption = None,
    distance: DistanceOption = False,
    tile: TileOption = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    measure: MeasureOption = True,
    out: OutOption = None,
    draw: DrawOption = None,
    ray: RayOption = None,
    json: Json = False,
) -> None:
    """Classify images, or find boxes in them. Exit code 1 if some could not be read; the others are answered.

    inceptorch predict runs/flowers tulip.jpg holiday/

    inceptorch predict runs/flowers archive/ --out archive.parquet

    inceptorch predict runs/cells slides/ --out boxes.json --draw drawn
    """
    from inceptorch.errors import RunError
    from inceptorch.images.crops import get_protocol
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.inputs import image_entries
    from inceptorch.inference.options import options_for
    from inceptorch.inference.writers import file_lock, is_unfinished, new_writer, provenance, write_predictions
    from inceptorch.utils.progress import Progress

    if ray is not None and out is None:
        raise RunError("Cannot predict on a cluster without an output file. Name one with --out.")
    get_protocol(protocol or "center")  # before the model is read
    progress = Progress()
    resumed = out is not None and is_unfinished(out)  # by the engine that began the file
    if distance and engine == "auto":
        engine = "torch"  # which has the features
    if measure and not (resumed or ray) and sum(1 for _ in islice(image_entries(paths), MEASURE_FROM)) >= MEASURE_FROM:
        measure_engines(model, engine, precision)
    opened = open_engine(model, engine, precision)
    min_confidence = _threshold(model, opened.config, protocol, min_confidence) if reject else min_confidence
    with_size = out is not None and out.suffix.lower() == ".json"  # as COCO JSON has it
    options = options_for(opened, top, protocol, min_confidence, tile, distance=distance, with_size=with_size)
    drawings = None if draw is None else _drawings(draw, paths, resumed, model, opened.config)
    answer = partial(_answers, opened, model, options, ray, drawings, progress)
    if out is None:
        _print_answers(answer, paths, json, progress)
        return
    with file_lock(out), redirect_stdout(sys.stderr):  # Ray prints the state of its machines
        writer = new_writer(out, provenance(opened, paths, options, draw), opened, options)
        state = write_predictions(writer, paths, answer, progress)
    _print_summary(out, state.done, state.failed, json)


def _answers(
    opened: "Engine",
    model: str,
    options: "PredictOptions | BoxOptions",
    ray: str | None,
    drawings: "Drawings | None",
    progress: "Progress",
    entries: "Iterable[Entry]",
) -> "Iterator[Entry]":
    """The answers of this machine, or of a Ray cluster, drawn on the way if there are drawings."""
    from inceptorch.inference.options import predict_entries, report_low_bits

    if ray is None:
        answers = predict_entries(opened, entries, options)
    else:
        from inceptorch.inference.ray import predict_on_cluster

        answers = predict_on_cluster(ray, model, opened, entries, options)
    answers = report_low_bits(answers, progress.info)
    return answers if drawings is None else drawings.draw_each(answers)


def _drawings(draw: Path, paths: list[Path], resumed: bool, model: str, config: "ClassifierConfig") -> "Drawings":
    from inceptorch.errors import ProtocolError
    from inceptorch.inference.draw_boxes import Drawings

    if config.detection is None:
        raise ProtocolError(f"Cannot draw boxes: {model} is a classifier. Try inceptorch explain, which draws maps.")
    return Drawings(draw, paths, resumed=resumed)


def _threshold(model: str, config: "ClassifierConfig", protocol: str | None, min_confidence: float | None) -> float:
    """The probability below which images are unknown, by default from the model's validation images."""
    from inceptorch.errors import BundleError, ProtocolError

    if config.detection is not None:
        raise ProtocolError("Cannot use reject with a detector. Try --min-confidence, which leaves boxes out.")
    if min_confidence is not None:
        return min_confidence
    remedy = f"Try --min-confidence with the threshold of `inceptorch eval {model} DATA`."
    if protocol not in (None, "center"):
        raise ProtocolError(f"Cannot use the model's threshold, which is one for center crops. {remedy}")
    if config.metadata.threshold is None:
        raise BundleError(f"Cannot reject images: {model} has no threshold. {remedy}")
    return config.metadata.threshold["threshold"]


def _print_answers(
    answer: "Callable[[Iterable[Entry]], Iterator[Entry]]", paths: list[Path], json: bool, progress: "Progress"
) -> None:
    """Print the answers for the images behind `paths`, as they come or as one JSON value."""
    from inceptorch.inference.inputs import image_entries

    entries = image_entries(paths, say=progress.info)
    if json:
        known = list(entries)
        answers = iter(progress.track(answer(known), len(known), "predicting"))
    else:
        answers = answer(entries)
    print_images(answers, json, _remarks)


def _remarks(entry: "Entry") -> str:
    """What the line of an image ends with."""
    unknown = "; unknown" if entry.get("unknown") else ""
    if "distance" not in entry:
        return unknown
    far = ", out of distribution" if entry["out_of_distribution"] else ""
    return f"{unknown}; distance {entry['distance']:.1f}{far}"


def _print_summary(out: Path, images: int, failed: int, json: bool) -> None:
    """Print a summary of the output file; exit code 1 if some images could not be read."""
    if json:
        print_json({"out": str(out), "images": images, "failed": failed})
    else:
        print(f"{images - failed} images predicted in {out}" + (f"; {failed} could not be read" if failed else ""))
    if failed:
        raise typer.Exit(1)
