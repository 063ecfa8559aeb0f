from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import RunError
from inceptorch.utils.progress import printable


def similar(
    file: Annotated[Path, typer.Argument(help="Embeddings that `inceptorch embed` wrote.", metavar="FILE")],
    images: Annotated[list[Path], typer.Argument(help="Images to find similar ones of.", metavar="IMAGE")],
    top: Annotated[int, typer.Option(help="Number of similar images for each.", min=1)] = 10,
    model: Annotated[
        str | None, typer.Option(help="Model that made the embeddings; by default the one that they name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Page that shows them.", metavar="FILE.html")] = None,
    json: Json = False,
) -> None:
    """Find the images most like given ones, by exact search in embeddings.

    inceptorch similar photos.parquet holiday.jpg --out similar.html
    """
    from inceptorch.features.similar import page
    from inceptorch.features.similar import similar as find
    from inceptorch.utils.files import write_text
    from inceptorch.utils.progress import Progress

    if out is not None and out.suffix.lower() != ".html":
        raise RunError(f"Cannot write {out}: the page's name must end in .html. Try {out.with_suffix('.html')}.")
    found = find(file, images, top=top, model=model, progress=Progress())
    if out is not None:
        write_text(out, page(images, found))
    if json:
        print_json(
            [
                {"file": str(image), "similar": list(map(asdict, near))}
                for image, near in zip(images, found, strict=True)
            ]
        )
        return
    for image, near in zip(images, found, strict=True):
        print(printable(f"{image}:"))
        for each in near:
            label = f"  {each.label}" if each.label else ""
            print(printable(f"  {each.similarity:.3f}  {each.file}{label}"))
    if out is not None:
        print(printable(f"the page is {out}"))
