from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import ImageError, RunError
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from inceptorch.features.similar import Neighbor


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
    """Find the images most like given ones, by exact search in embeddings; an image is never its own. Exit code 1 if
    some could not be read; the others are answered.

    inceptorch similar photos.parquet holiday.jpg --out similar.html
    """
    from inceptorch.features.similar import Search, page
    from inceptorch.utils.files import write_text

    if out is not None and out.suffix.lower() != ".html":
        raise RunError(f"Cannot write {out}: the page's name must end in .html. Try {out.with_suffix('.html')}.")
    search = Search(file, model)
    found: dict[Path, list[Neighbor]] = {}
    errors: dict[Path, str] = {}
    for image in images:
        try:
            found[image] = search.similar(image, top)
        except ImageError as error:
            errors[image] = error.reason
    if out is not None:
        write_text(out, page(list(found), list(found.values())))
    if json:
        answers = [{"file": str(image), "similar": list(map(asdict, near))} for image, near in found.items()]
        print_json([*answers, *({"file": str(image), "error": reason} for image, reason in errors.items())])
    else:
        _print(found, out)
    for image, reason in errors.items():
        print(printable(f"{image}: {reason}"), file=sys.stderr)
    if errors:
        raise typer.Exit(1)


def _print(found: dict[Path, list[Neighbor]], out: Path | None) -> None:
    for image, near in found.items():
        print(printable(f"{image}:"))
        for each in near:
            label = f"  {each.label}" if each.label else ""
            print(printable(f"  {each.similarity:.3f}  {each.file}{label}"))
    if out is not None:
        print(printable(f"the page is {out}"))
