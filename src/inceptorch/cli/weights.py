from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from inceptorch.classifier.published import Published


def weights(
    name: Annotated[str | None, typer.Argument(help="Name of published weights; prints all that is known.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download the weights, unless they are cached.")] = False,
    json: Json = False,
) -> None:
    """List published weights: network, accuracy as published, license, source, local copy."""
    from dataclasses import asdict

    from inceptorch.classifier import published
    from inceptorch.errors import BundleError

    def plain(one: published.Published) -> dict[str, Any]:
        hashed = {**asdict(one.hash), "whole": one.hash.whole} if one.hash else None
        return {**asdict(one), "hash": hashed, "file": one.file, "path": str(one.path()), "cached": one.cached()}

    if name is not None:
        one = published.get_weights(name)
        if fetch:
            published.fetch(one)
        if json:
            print_json(plain(one))
            return
        print(f"{one.name}: {one.source}\n")
        for key, value in _details(one).items():
            print(f"{key:<14} {value}")
        return
    if fetch:
        raise BundleError("Cannot download weights without a name. Try one that `inceptorch weights` lists.")
    table = published.published().values()
    if json:
        print_json([plain(one) for one in table])
        return
    grid = [["weights", "network", "top-1", "top-5", "license", "size", "cached"]]
    for one in table:
        top1, top5 = (f"{one.accuracy.top1:.1f}", f"{one.accuracy.top5:.1f}") if one.accuracy else ("-", "-")
        size = f"{one.bytes / 1e6:.0f} MB" if one.bytes else "-"
        grid.append([one.name, one.net, top1, top5, one.license, size, one.cached()])
    print_table(grid)


def _details(one: "Published") -> dict[str, str]:
    from inceptorch.images.crops import CENTER

    def numbers(values: tuple[float, ...]) -> str:
        return f"{values[0]:g}" if len(set(values)) == 1 else f"[{', '.join(f'{value:g}' for value in values)}]"

    accuracy, prepared = one.accuracy, one.preprocessing
    scaled = f"({prepared.channels} - {numbers(prepared.mean)}) / {numbers(prepared.std)}"
    return {
        "network": one.net,
        "outputs": str(one.outputs),
        "accuracy": f"top-1 {accuracy.top1}%, top-5 {accuracy.top5}%; {accuracy.protocol}"
        if accuracy
        else "not published",
        "preprocessing": f"{CENTER.describe(prepared)}; {scaled}",
        "license": one.license,
        "url": one.url,
        "size": f"{one.bytes:,} bytes" if one.bytes else "not known",
        "hash": f"{one.hash} ({one.hash.by})" if one.hash else "none known; the file cannot be verified",
        "cached": one.cached(),
        "path": str(one.path()),
        **({"note": one.note} if one.note else {}),
    }
