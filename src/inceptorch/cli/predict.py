from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_pictures


def predict(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.")],
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", metavar="PATH...")],
    top: Annotated[int, typer.Option(help="How many answers for each picture.", min=1)] = 5,
    json: Json = False,
) -> None:
    """Say what is in pictures. Exit code 1 if some could not be read; the others are answered all the same.

    inceptorch predict runs/flowers tulip.jpg holiday/
    """
    from inceptorch.bundle import BATCH, top_classes
    from inceptorch.data.folder import find_pictures
    from inceptorch.errors import PictureError
    from inceptorch.progress import Progress
    from inceptorch.zoo import load

    classifier = load(model).to_best_device()
    entries: list[dict[str, Any]] = []
    for path in paths:
        try:
            entries += [{"file": file} for file in find_pictures(path)]
        except PictureError as error:
            entries.append({"file": str(path), "error": str(error)})

    batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
    for batch in Progress().track(batches, len(batches), "predicting"):
        squares, read = [], []
        for entry in batch:
            if "error" in entry:
                continue
            try:
                squares.append(classifier.pixels.square(entry["file"]))
                read.append(entry)
            except PictureError as error:
                entry["error"] = str(error)
        for entry, probabilities in zip(read, classifier.probabilities(squares), strict=True):
            entry["predictions"] = top_classes(probabilities, classifier.classes, top)

    print_pictures(entries, json, lambda entry: "")
