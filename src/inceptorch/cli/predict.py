import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption
from inceptorch.cli.output import Json, print_json, print_pictures


def predict(
    model: Annotated[str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.")],
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", metavar="PATH...")],
    top: Annotated[int, typer.Option(help="How many answers for each picture.", min=1)] = 5,
    protocol: Annotated[str, typer.Option(help="Which crops are averaged, as for eval.")] = "center",
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Say of pictures of none of the classes that they are unknown.")
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
    """Say what is in pictures. Exit code 1 if some could not be read; the others are answered all the same.

    inceptorch predict runs/flowers tulip.jpg holiday/

    inceptorch predict runs/flowers archive/ --out archive.parquet
    """
    from inceptorch.data.split import picture_entries
    from inceptorch.errors import ProtocolError, RunError
    from inceptorch.images.crops import protocol as named_protocol
    from inceptorch.inference.engines import open_engine
    from inceptorch.inference.options import Asked, Entry, predictions
    from inceptorch.inference.writers.base import alone, made_with, new_output, write_answers
    from inceptorch.utils.progress import Progress

    if ray is not None and out is None:
        raise RunError("What a cluster answers is written into a file; name one with --out.")
    chosen = named_protocol(protocol)
    opened = open_engine(model, engine, precision)
    if unknown and unknown_below is None and protocol != "center":
        raise ProtocolError(
            "The threshold that a run knows is one for centre crops; give --unknown-below, as eval by this protocol suggests it."
        )
    below = unknown_below if unknown_below is not None or not unknown else _threshold(opened.about, model)
    asked = Asked(chosen, top, below)

    def answer(entries: Iterable[Entry]) -> Iterator[Entry]:
        if ray is None:
            return predictions(opened, entries, asked)
        from inceptorch.inference.ray import predictions_by_cluster

        return predictions_by_cluster(ray, model, opened, entries, asked)

    if out is not None:
        with alone(out), redirect_stdout(sys.stderr):  # where Ray is to say what becomes of machines
            output = new_output(out, made_with(opened, paths, asked), asked, opened)
            state = write_answers(output, paths, answer, Progress())
        _print_summary(out, state.done, state.failed, json)
    else:
        entries = answer(picture_entries(paths))
        if json:
            entries = Progress().track(entries, sum(1 for _ in picture_entries(paths)), "predicting")
        print_pictures(entries, json, lambda entry: "; unknown" if entry.get("unknown") else "")


def _print_summary(out: Path, pictures: int, failed: int, json: bool) -> None:
    """What was written; exit code 1 if some pictures could not be read."""
    if json:
        print_json({"out": str(out), "pictures": pictures, "failed": failed})
    else:
        left = f"; {failed} could not be read" if failed else ""
        print(f"{pictures - failed} pictures answered in {out}{left}")
    if failed:
        raise typer.Exit(1)


def _threshold(about: dict[str, Any], model: str) -> float:
    """The probability below which pictures are unknown, as training found it on held-out pictures."""
    from inceptorch.errors import BundleError

    found = about.get("unknown")
    if not isinstance(found, dict) or not isinstance(found.get("below"), float):
        raise BundleError(
            f"{model} does not say below which probability a picture is unknown; give one with --unknown-below, such as "
            f"`inceptorch eval {model} DATA` suggests for held-out pictures."
        )
    return float(found["below"])
