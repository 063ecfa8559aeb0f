from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption
from inceptorch.cli.output import Json, print_pictures


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
    json: Json = False,
) -> None:
    """Say what is in pictures. Exit code 1 if some could not be read; the others are answered all the same.

    inceptorch predict runs/flowers tulip.jpg holiday/
    """
    import numpy as np

    from inceptorch.bundle import top_classes
    from inceptorch.data.folder import decoded, picture_entries
    from inceptorch.engines import open_engine
    from inceptorch.errors import ProtocolError
    from inceptorch.evaluation import log_probabilities, pictures_at_once
    from inceptorch.progress import Progress
    from inceptorch.protocols import protocol as named_protocol

    chosen = named_protocol(protocol)
    classifier = open_engine(model, engine, precision)
    if unknown and unknown_below is None and protocol != "center":
        raise ProtocolError(
            "The threshold that a run knows is one for centre crops; give --unknown-below, as eval by this protocol suggests it."
        )
    below = unknown_below if unknown_below is not None or not unknown else _threshold(classifier.about, model)
    entries = picture_entries(paths)
    size = pictures_at_once(classifier, chosen)
    batches = [entries[start : start + size] for start in range(0, len(entries), size)]
    for batch in Progress().track(batches, len(batches), "predicting"):
        views, read = [], []
        for entry, image in decoded(batch):
            views.append(chosen.views(image, classifier.pixels))
            read.append(entry)
        answers = np.exp(log_probabilities(classifier, views)) if views else np.empty((0, len(classifier.classes)))
        for entry, probabilities in zip(read, answers, strict=True):
            entry["predictions"] = top_classes(probabilities.tolist(), classifier.classes, top)
            if below is not None:
                entry["unknown"] = float(probabilities.max()) < below

    print_pictures(entries, json, lambda entry: "; unknown" if entry.get("unknown") else "")


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
