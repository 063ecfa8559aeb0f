from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[
        Path, typer.Argument(help="bvlc_googlenet_oihw.npz: the trained GoogLeNet of the Caffe model zoo.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to make.")],
    labels: Annotated[
        Path | None, typer.Option(help="Class names, a line each; synset_words.txt beside FILE by default.")
    ] = None,
) -> None:
    """Make a bundle of published weights, with their pixel contract and their 1000 class names.

    inceptorch convert bvlc_googlenet_oihw.npz --out googlenet
    """
    from inceptorch.convert import convert as make_bundle

    classifier = make_bundle(file, out, labels)
    print(
        f"{classifier.model.net.name} with {len(classifier.classes)} classes in {out}; try: inceptorch predict {out} PICTURE"
    )
