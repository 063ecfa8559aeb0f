import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption, ProtocolOption, measure_engines
from inceptorch.cli.output import Json, print_images, print_json

if TYPE_CHECKING:
    from inceptorch.classifier import Metadata

MEASURE_FROM = 1000  # images, which take far longer than the measurement

RejectOption = Annotated[
    bool,
    typer.Option(
        "--reject",
        help="Flag images that match none of the classes as unknown, by the model's own threshold (--min-confidence "
        "sets another).",
    ),
]
MinConfidenceOption = Annotated[
    float | None, typer.Option(help="Probability, 0 to 1, below which an image is unknown.", min=0, max=1)
]
OutOption = Annotated[
    Path | None, typer.Option(help="Output file, .jsonl, .csv or .parquet; the same command resumes it.")
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
    model: Annotated[
        str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.", metavar="MODEL")
    ],
    paths: Annotated[list[Path], typer.Argument(help="Images and folders of images.", metavar="PATH")],
    top: Annotated[int, typer.Option(help="Number of classes for each image.", min=1)] = 5,
    protocol: ProtocolOption = "center",
    reject: RejectOption = False,
    min_confidence: MinConfidenceOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    measure: MeasureOption = True,
    out: OutOption = None,
    ray: RayOption = None,
    json: Json = False,
) -> None:
    """Classify images. Exit code 1 if some could not be read; the others are classified all the same.

    inceptorch predict runs/flowers tulip.jpg holiday/

    inceptorch predict runs/flowers archive/ --out archive.parquet
    """
    from inceptorch.errors import RunError
    from inceptorch.images.crops import get_protocol
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.inputs import Entry, image_entries
    from inceptorch.inference.options import PredictOptions, predict_entries, report_low_bits
    from inceptorch.inference.predictor import Predictor
    from inceptorch.inference.writers import file_lock, new_writer, provenance, write_predictions
    from inceptorch.utils.progress import Progress

    if ray is not None and out is None:
        raise RunError("Cannot predict on a cluster without an output file. Name one with --out.")
    progress, crops = Progress(), get_protocol(protocol)
    # A file that is resumed needs the engine that began it.
    new = out is None or not out.with_name(f"{out.name}.part.json").exists()
    if measure and new and ray is None and sum(1 for _ in islice(image_entries(paths), MEASURE_FROM)) >= MEASURE_FROM:
        measure_engines(model, engine, precision)
    opened = open_engine(model, engine, precision)
    if reject and min_confidence is None:
        min_confidence = _threshold(model, opened.config.metadata, protocol)
    options = PredictOptions(crops, top, min_confidence)

    def answer(entries: Iterable[Entry]) -> Iterator[Entry]:
        if ray is None:
            return report_low_bits(predict_entries(opened, entries, options), progress.info)
        from inceptorch.inference.ray import predict_on_cluster

        return report_low_bits(predict_on_cluster(ray, model, opened, entries, options), progress.info)

    if out is None:
        entries: Iterable[Entry] = image_entries(paths, say=progress.info)
        if json:
            entries = list(entries)
            answers = progress.track(answer(entries), len(entries), "predicting")
        else:
            answers = answer(entries)
        print_images(answers, json, lambda entry: "; unknown" if entry.get("unknown") else "")
        return
    with file_lock(out), redirect_stdout(sys.stderr):  # Ray prints the state of its machines
        writer = new_writer(out, provenance(opened, paths, options), Predictor(opened, crops), top)
        state = write_predictions(writer, paths, answer, progress)
    _print_summary(out, state.done, state.failed, json)


def _threshold(model: str, metadata: "Metadata", protocol: str) -> float:
    """The probability below which images are unknown, from the model's validation images."""
    from inceptorch.errors import BundleError, ProtocolError

    remedy = f"Try --min-confidence with the threshold of `inceptorch eval {model} DATA`."
    if protocol != "center":
        raise ProtocolError(f"Cannot use the model's threshold, which is one for center crops. {remedy}")
    if metadata.threshold is None:
        raise BundleError(f"Cannot reject images: {model} has no threshold. {remedy}")
    return metadata.threshold["threshold"]


def _print_summary(out: Path, images: int, failed: int, json: bool) -> None:
    """Print a summary of the output file; exit code 1 if some images could not be read."""
    if json:
        print_json({"out": str(out), "images": images, "failed": failed})
    else:
        print(f"{images - failed} images classified in {out}" + (f"; {failed} could not be read" if failed else ""))
    if failed:
        raise typer.Exit(1)
