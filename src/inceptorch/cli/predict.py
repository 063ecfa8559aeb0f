import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption
from inceptorch.cli.output import Json, print_images, print_json

if TYPE_CHECKING:
    from inceptorch.classifier import Metadata


def predict(
    model: Annotated[str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", metavar="PATH...")],
    top: Annotated[int, typer.Option(help="How many answers for each image.", min=1)] = 5,
    protocol: Annotated[str, typer.Option(help="Which crops are averaged, as for eval.")] = "center",
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Say of images of none of the classes that they are unknown.")
    ] = False,
    unknown_below: Annotated[
        float | None, typer.Option(help="The same, below this probability, from 0 to 1.", min=0, max=1)
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the answers to this .jsonl, .csv or .parquet; the same command goes on with it."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="With --out: predict on the Ray cluster at this address; local starts one here.", metavar="ADDRESS"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say what is in images. Exit code 1 if some could not be read; the others are answered all the same.

    inceptorch predict runs/flowers tulip.jpg holiday/

    inceptorch predict runs/flowers archive/ --out archive.parquet
    """
    from inceptorch.errors import ProtocolError, RunError
    from inceptorch.images.crops import get_protocol
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.inputs import Entry, image_entries
    from inceptorch.inference.options import PredictOptions, predict_entries
    from inceptorch.inference.predictor import Predictor
    from inceptorch.inference.writers import file_lock, new_writer, provenance, write_answers
    from inceptorch.utils.progress import Progress

    if ray is not None and out is None:
        raise RunError("What a cluster answers is written into a file; name one with --out.")
    chosen = get_protocol(protocol)
    opened = open_engine(model, engine, precision)
    if unknown and unknown_below is None:
        if protocol != "center":
            raise ProtocolError(
                "The threshold that a run knows is one for center crops; give --unknown-below, as eval by this protocol "
                "suggests it."
            )
        unknown_below = _threshold(opened.config.metadata, model)
    options = PredictOptions(chosen, top, unknown_below)

    def answer(entries: Iterable[Entry]) -> Iterator[Entry]:
        if ray is None:
            return predict_entries(opened, entries, options)
        from inceptorch.inference.ray import predict_on_cluster

        return predict_on_cluster(ray, model, opened, entries, options)

    if out is not None:
        with file_lock(out), redirect_stdout(sys.stderr):  # where Ray is to say what becomes of machines
            writer = new_writer(out, provenance(opened, paths, options), Predictor(opened, chosen), top)
            state = write_answers(writer, paths, answer, Progress())
        _print_summary(out, state.done, state.failed, json)
        return
    entries: Iterable[Entry] = image_entries(paths)
    if json:
        known = list(entries)
        answers = Progress().track(answer(known), len(known), "predicting")
    else:
        answers = answer(entries)
    print_images(answers, json, lambda entry: "; unknown" if entry.get("unknown") else "")


def _print_summary(out: Path, images: int, failed: int, json: bool) -> None:
    """What was written; exit code 1 if some images could not be read."""
    if json:
        print_json({"out": str(out), "images": images, "failed": failed})
    else:
        left = f"; {failed} could not be read" if failed else ""
        print(f"{images - failed} images answered in {out}{left}")
    if failed:
        raise typer.Exit(1)


def _threshold(metadata: "Metadata", model: str) -> float:
    """The probability below which images are unknown, as training found it on validation images."""
    from inceptorch.errors import BundleError

    if metadata.threshold is None:
        raise BundleError(
            f"{model} does not say below which probability an image is unknown; give one with --unknown-below, such as "
            f"`inceptorch eval {model} DATA` suggests for validation images."
        )
    return metadata.threshold["threshold"]
