from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inceptorch.networks.complexity import Complexity, LayerCost
    from inceptorch.networks.detection import DetectionHead
    from inceptorch.networks.network import NetworkSpec

    Detector = tuple[NetworkSpec, DetectionHead, int]  # the number of classes


NameArgument = Annotated[
    str | None, typer.Argument(help="Name of a network, a .yaml file of your own, or a detector's run or bundle.")
]
DetectionOption = Annotated[
    bool, typer.Option("--detection", help="The network as a detector's body, with the head that training adds.")
]
ClassesOption = Annotated[int | None, typer.Option(help="Classes of the detector; by default 80.", min=1, max=9999)]
SizeOption = Annotated[int | None, typer.Option(help="Longer side of the detector's images in pixels; by default 512.")]

GradientsOption = Annotated[
    str | None,
    typer.Option(help="Images for gradient norms by layer, with and without auxiliary heads.", metavar="DATA"),
]


def nets(
    name: NameArgument = None,
    detection: DetectionOption = False,
    classes: ClassesOption = None,
    size: SizeOption = None,
    paper: Annotated[bool, typer.Option("--paper", help="Its paper's tables, as printed and as computed.")] = False,
    gradients: GradientsOption = None,
    draw: Annotated[Path | None, typer.Option(help="File for a drawing of it.", metavar="FILE.svg")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Its table as YAML, a start for your own.")] = False,
    json: Json = False,
) -> None:
    """List the networks, or one of them by layer: shapes, parameters and multiply-adds.

    inceptorch nets googlenet --paper

    inceptorch nets googlenet --gradients flowers/

    inceptorch nets googlenet --detection --draw detector.svg

    inceptorch nets googlenet --yaml > mine.yaml
    """
    from inceptorch.errors import TableError
    from inceptorch.networks.complexity import count_complexity
    from inceptorch.networks.zoo import get_network

    if (paper, gradients is not None, draw is not None, yaml).count(True) > 1 or (json and (draw or yaml)):
        raise TableError(
            "Cannot combine --paper, --gradients, --draw and --yaml. Give one of them; --json goes with the first two."
        )
    if draw and draw.suffix.lower() != ".svg":
        raise TableError(f"Cannot draw into {draw}: the name must end in .svg.")
    if name is None:
        if paper or gradients or draw or yaml or detection or classes or size:
            raise TableError("Cannot use these options without a network, but for --json. Name one.")
        _list(json)
        return
    found = _find_detector(name, detection, classes, size)
    if found is not None:
        if paper or gradients or yaml:
            raise TableError("Cannot combine --paper, --gradients or --yaml with a detector. Name its network alone.")
        _print_detector(found, draw, json)
        return
    net = get_network(name)
    if draw is not None:
        _draw(net, draw)
    elif yaml:
        from inceptorch.networks.serialization import to_yaml

        print(to_yaml(net), end="")
    elif paper:
        _print_paper(net, json)
    elif gradients is not None:
        _print_gradients(net, gradients, json)
    elif json:
        print_json(_to_json(count_complexity(net)))
    else:
        _print_layers(net, count_complexity(net))


def _draw(net: "NetworkSpec", file: Path) -> None:
    from inceptorch.networks.draw import svg
    from inceptorch.utils.files import write_text

    write_text(file, svg(net))
    print(f"{net.name} drawn in {file}")


def _print_paper(net: "NetworkSpec", json: bool) -> None:
    """Print the tables of a network's paper."""
    from inceptorch.papers import page

    if json:
        print_json(page.to_json(net))
    else:
        print(page.text(net), end="")


def _print_gradients(net: "NetworkSpec", data: str, json: bool) -> None:
    """Print the norms of the gradient by layer on images of DATA."""
    from inceptorch.papers.gradients import grid, initial_gradients, plain

    norms = initial_gradients(net, data)
    if json:
        print_json(plain(norms))
    else:
        print_table(grid(norms))


def _list(json: bool) -> None:
    """Print all networks with their costs."""
    from inceptorch.networks.complexity import count_complexity
    from inceptorch.networks.zoo import NETS

    complexities = [count_complexity(each) for each in NETS]
    if json:
        print_json([_summary(each) for each in complexities])
        return
    grid = [["network", "size", "parameters", "multiply-adds", "description"]]
    for each in complexities:
        grid.append([each.net, str(each.size), f"{each.params:,}", f"{each.macs:,}", NETS[each.net].title])
    print_table(grid)


def _find_detector(name: str, detection: bool, classes: int | None, size: int | None) -> "Detector | None":
    """The detector that is meant, in a run or bundle, or made of a network."""
    from inceptorch.classifier.config import CONFIG, read_config
    from inceptorch.errors import TableError
    from inceptorch.networks.detection import DetectionHead, canvas, default_levels
    from inceptorch.networks.zoo import get_network

    if (Path(name) / CONFIG).is_file():
        config = read_config(Path(name))
        if config.detection is None:
            raise TableError(f"Cannot list {name}: it is a classifier. Try its network: {config.architecture}.")
        if detection or classes or size:
            raise TableError(f"Cannot combine --detection, --classes and --size with {name}, which has its own.")
        return config.network, config.detection, len(config.classes)
    if not detection:
        if classes or size:
            raise TableError("Cannot use --classes or --size without --detection. Add it.")
        return None
    net = get_network(name)
    return net, DetectionHead(default_levels(net), *canvas((), size or 0)), classes or 80


def _print_detector(detector: "Detector", draw: Path | None, json: bool) -> None:
    """Print a detector's layers, or draw them."""
    net, head, classes = detector
    if draw is not None:
        from inceptorch.networks.draw import detector_svg
        from inceptorch.utils.files import write_text

        write_text(draw, detector_svg(net, head, classes))
        print(f"{net.name} as a detector drawn in {draw}")
        return
    layers = head.costs(net, classes)
    params, macs = sum(each.params for each in layers), sum(each.macs for each in layers)
    if json:
        about = {"name": net.name, "source": net.source, "width": head.width, "height": head.height, "classes": classes}
        print_json({**about, "levels": list(head.levels), "params": params, "macs": macs, "rows": _rows(layers)})
        return
    print(f"{printable(net.name)} as a detector: {printable(net.title)}")
    print(f"{printable(net.source)}; {head.width}x{head.height} pixels, {classes} classes\n")
    _print_table(layers, params, macs)


def _summary(complexity: "Complexity") -> dict[str, Any]:
    values = {key: getattr(complexity, key) for key in ("source", "size", "params", "macs")}
    return {"name": complexity.net, **values}


def _to_json(complexity: "Complexity") -> dict[str, Any]:
    return {**_summary(complexity), "params_with_aux": complexity.params_with_aux, "rows": _rows(complexity.layers)}


def _rows(layers: "Iterable[LayerCost]") -> list[dict[str, Any]]:
    return [
        {"name": each.name, "output": list(each.output), "params": each.params, "macs": each.macs} for each in layers
    ]


def _print_layers(net: "NetworkSpec", complexity: "Complexity") -> None:
    print(f"{printable(net.name)}: {printable(net.title)}")
    print(f"{printable(net.source)}; {complexity.size}x{complexity.size} pixels, 1000 classes\n")
    _print_table(complexity.layers, complexity.params, complexity.macs)
    if net.aux:
        print(f"\nwith auxiliary heads on {' and '.join(net.aux)}: {complexity.params_with_aux:,} parameters")


def _print_table(layers: "Iterable[LayerCost]", params: int, macs: int) -> None:
    from inceptorch.networks.layers import as_printed

    rows = [[each.name, as_printed(each.output), f"{each.params:,}", f"{each.macs:,}"] for each in layers]
    total = ["total", "", f"{params:,}", f"{macs:,}"]
    print_table([["layer", "output", "parameters", "multiply-adds"], *rows, total])
