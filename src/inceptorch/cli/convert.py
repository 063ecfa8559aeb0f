from pathlib import Path
from shlex import quote
from typing import Annotated

import typer


def convert(
    file: Annotated[
        str,
        typer.Argument(
            help=".pth or .ckpt (torchvision), .safetensors (timm), .caffemodel or .npz (Caffe); or a bundle."
        ),
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
    from inceptorch.classifier.config import read_config
    from inceptorch.classifier.convert.convert import convert as run_convert

    run_convert(file, out, source=source, labels=labels)
    if not out.is_dir():
        print(f"{out} holds the weights of {file}")
        return
    config = read_config(out)
    heads = " and its auxiliary heads" if config.aux_heads else ""
    print(
        f"{config.architecture}{heads} with {len(config.classes)} classes in {out}; "
        f"try: inceptorch predict {quote(str(out))} IMAGE"
    )
    if config.metadata.note:
        print(config.metadata.note)
