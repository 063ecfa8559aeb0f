from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from inceptorch.errors import BundleError


def convert(
    file: Annotated[
        str, typer.Argument(help=".pth (torchvision), .safetensors (timm), .caffemodel or .npz (Caffe); or a bundle.")
    ],
    out: Annotated[
        Path, typer.Option(help="The new bundle; from a bundle, a .safetensors or .pth file for other libraries.")
    ],
    source: Annotated[
        str | None,
        typer.Option("--source", "--as", help="Name of the published weights in FILE; see `inceptorch weights`."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of class names, one per line; by default synset_words.txt beside FILE.")
    ] = None,
) -> None:
    """Convert other libraries' weights to a bundle, with preprocessing and class names; or a bundle to their files.

    inceptorch convert bvlc_googlenet.caffemodel --out googlenet

    inceptorch convert v3 --out v3_for_torchvision.pth
    """
    from inceptorch.classifier.convert import export_weights, import_weights
    from inceptorch.classifier.hub import HUB, resolve_weights
    from inceptorch.classifier.published import published

    if Path(file).is_dir() or file in published() or file.startswith(HUB):
        if source or labels:
            raise BundleError("Cannot use --source or --labels with a bundle, which knows both. Leave them out.")
        library = export_weights(resolve_weights(file), out)
        print(f"{out} holds the weights of {file} under the names of {library}")
        return
    classifier = import_weights(Path(file), out, source=source, labels=labels)
    heads = " and its auxiliary heads" if classifier.config.aux_heads else ""
    print(
        f"{classifier.model.net.name}{heads} with {len(classifier.classes)} classes in {out}; "
        f"try: inceptorch predict {quote(str(out))} IMAGE"
    )
