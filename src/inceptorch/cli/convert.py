from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from inceptorch.errors import BundleError


def convert(
    file: Annotated[
        str,
        typer.Argument(help=".pth (torchvision), .safetensors (timm), .caffemodel or .npz (Caffe); or a bundle."),
    ],
    out: Annotated[
        Path, typer.Option(help="The bundle to make; of a bundle, the .safetensors or .pth file for other libraries.")
    ],
    origin: Annotated[
        str | None, typer.Option("--as", help="Which published weights these are; see `inceptorch weights`.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Class names, a line each; synset_words.txt beside FILE by default.")
    ] = None,
) -> None:
    """Make a bundle of other libraries' weights, with their preprocessing and class names; or the other way round.

    inceptorch convert bvlc_googlenet.caffemodel --out googlenet

    inceptorch convert v3 --out v3_for_torchvision.pth
    """
    from inceptorch.classifier import convert as converting
    from inceptorch.classifier.hub import HUB, resolve_weights
    from inceptorch.classifier.published import published

    if Path(file).is_dir() or file in published() or file.startswith(HUB):
        if origin or labels:
            raise BundleError("--as and --labels belong to a file of weights; a bundle knows both.")
        library = converting.export(resolve_weights(file), out)
        print(f"{out} holds the weights of {file} under the names of {library}")
        return
    classifier = converting.convert(Path(file), out, origin=origin, labels=labels)
    heads = " and its auxiliary heads" if classifier.config.aux_heads else ""
    print(
        f"{classifier.model.net.name}{heads} with {len(classifier.classes)} classes in {out}; "
        f"try: inceptorch predict {quote(str(out))} IMAGE"
    )
