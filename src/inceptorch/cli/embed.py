from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.utils.progress import printable


def embed(
    model: Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="MODEL")],
    data: Annotated[
        str,
        typer.Argument(
            help="Images, as for train; or a folder, zip or list of images without classes.", metavar="DATA"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="File for the embeddings; an existing one is replaced.", metavar="FILE.parquet|FILE.npy"),
    ] = Path("embeddings.parquet"),
    layer: Annotated[
        str | None,
        typer.Option(help="Layer whose maps are averaged; by default what the classifier's linear layer receives."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="torch, onnxruntime or openvino, in fp32; auto: the fastest that agrees with torch.")
    ] = "auto",
    json: Json = False,
) -> None:
    """Write the embedding of every image, its features before the classes, for search, clusters and other programs.
    Exit code 1 if some could not be read; the others are embedded.

    inceptorch embed googlenet.bvlc photos/ --out photos.parquet
    """
    from inceptorch.data.verify import report_skipped
    from inceptorch.features.embed import embed as compute
    from inceptorch.utils.progress import Progress

    progress = Progress()
    found = compute(model, data, out=out, layer=layer, engine=engine, progress=progress)
    report_skipped(found.skipped, progress.info)
    if json:
        print_json({"out": str(out), "n": len(found), **found.about, "skipped": found.skipped})
    else:
        print(printable(f"{len(found)} embeddings of {found.about['dim']} numbers in {out}"))
        print(printable(f"search in them: inceptorch similar {out} IMAGE"))
    if found.skipped:
        raise typer.Exit(1)
