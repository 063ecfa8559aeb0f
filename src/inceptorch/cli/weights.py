from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from inceptorch.classifier.published import Published


def weights(
    name: Annotated[str | None, typer.Argument(help="One of them, with everything that is known of it.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch it now, if it is not kept here yet.")] = False,
    json: Json = False,
) -> None:
    """List published weights, or one of them: network, accuracy as published, license, source, where it is kept."""
    from dataclasses import asdict

    from inceptorch.classifier import published
    from inceptorch.errors import BundleError

    def plain(one: published.Published) -> dict[str, Any]:
        hashed = {**asdict(one.hash), "whole": one.hash.whole} if one.hash else None
        return {**asdict(one), "hash": hashed, "file": one.file, "path": str(one.path()), "kept": one.kept()}

    if name is None:
        if fetch:
            raise BundleError("--fetch needs the name of the weights to fetch; `inceptorch weights` lists them.")
        table = published.published().values()
        if json:
            print_json([plain(one) for one in table])
            return
        grid = [["weights", "network", "top-1", "top-5", "license", "size", "kept here"]]
        for one in table:
            top1, top5 = (f"{one.accuracy.top1:.1f}", f"{one.accuracy.top5:.1f}") if one.accuracy else ("-", "-")
            size = f"{one.bytes / 1e6:.0f} MB" if one.bytes else "-"
            grid.append([one.name, one.net, top1, top5, one.license, size, one.kept()])
        print_table(grid)
        return

    one = published.get_weights(name)
    if fetch:
        published.fetch(one)
    if json:
        print_json(plain(one))
        return
    print(f"{one.name}: {one.source}\n")
    for what, value in _details(one).items():
        print(f"{what:<10}{value}")


def _details(one: "Published") -> dict[str, str]:
    from inceptorch.images.crops import CENTER

    scored, hashed, pixels = one.accuracy, one.hash, one.pixels
    accuracy = f"top-1 {scored.top1}%, top-5 {scored.top5}%; {scored.protocol}" if scored else "not published"
    scaled = f"({pixels.channels} - {_numbers(pixels.mean)}) / {_numbers(pixels.std)}"
    return {
        "network": one.net,
        "outputs": str(one.outputs),
        "accuracy": accuracy,
        "pixels": f"{CENTER.describe(pixels)}; {scaled}",
        "license": one.license,
        "url": one.url,
        "size": f"{one.bytes:,} bytes" if one.bytes else "not known",
        "hash": f"{hashed} ({hashed.by})" if hashed else "none known here: the file is taken as it comes",
        "kept here": one.kept(),
        "path": str(one.path()),
        **({"note": one.note} if one.note else {}),
    }


def _numbers(values: tuple[float, ...]) -> str:
    """One number where all are the same."""
    return f"{values[0]:g}" if len(set(values)) == 1 else f"[{', '.join(f'{value:g}' for value in values)}]"
