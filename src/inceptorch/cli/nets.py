from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from inceptorch.networks.complexity import Complexity
    from inceptorch.networks.network import NetworkSpec


def nets(
    name: Annotated[str | None, typer.Argument(help="Name of a network, or a .yaml file of your own.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Its paper's tables, as printed and as computed.")] = False,
    draw: Annotated[Path | None, typer.Option(help="File for a drawing of it.", metavar="FILE.svg")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Its table as YAML, a start for your own.")] = False,
    json: Json = False,
) -> None:
    """List the networks, or one of them by layer: shapes, parameters and multiply-adds.

    inceptorch nets googlenet --paper

    inceptorch nets googlenet --yaml > mine.yaml
    """
    from inceptorch.errors import TableError
    from inceptorch.networks.complexity import count_complexity
    from inceptorch.networks.zoo import NETS, get_network

    if (paper, draw is not None, yaml).count(True) > 1 or (json and (draw or yaml)):
        raise TableError("Cannot combine --paper, --draw and --yaml. Give one of them; --json goes with --paper only.")
    if draw and draw.suffix.lower() != ".svg":
        raise TableError(f"Cannot draw into {draw}: the name must end in .svg.")
    if name is None:
        if paper or draw or yaml:
            raise TableError("Cannot use --paper, --draw or --yaml without a network. Name one.")
        complexities = [count_complexity(each) for each in NETS]
        if json:
            print_json([_summary(each) for each in complexities])
            return
        grid = [["network", "size", "parameters", "multiply-adds", "description"]]
        for each in complexities:
            grid.append([each.net, str(each.size), f"{each.params:,}", f"{each.macs:,}", NETS[each.net].title])
        print_table(grid)
        return

    net = get_network(name)
    if draw is not None:
        from inceptorch.networks.draw import svg
        from inceptorch.utils.files import write_text

        write_text(draw, svg(net))
        print(f"{net.name} drawn in {draw}")
    elif yaml:
        from inceptorch.networks.serialization import to_yaml

        print(to_yaml(net), end="")
    elif paper:
        from inceptorch.papers import page

        if json:
            print_json(page.to_json(net))
        else:
            print(page.text(net), end="")
    elif json:
        print_json(_to_json(count_complexity(net)))
    else:
        _print_layers(net, count_complexity(net))


def _summary(complexity: "Complexity") -> dict[str, Any]:
    values = {key: getattr(complexity, key) for key in ("source", "size", "params", "macs")}
    return {"name": complexity.net, **values}


def _to_json(complexity: "Complexity") -> dict[str, Any]:
    layers = [
        {"name": each.name, "output": list(each.output), "params": each.params, "macs": each.macs}
        for each in complexity.layers
    ]
    return {**_summary(complexity), "params_with_aux": complexity.params_with_aux, "rows": layers}


def _print_layers(net: "NetworkSpec", complexity: "Complexity") -> None:
    from inceptorch.networks.layers import as_printed

    print(f"{printable(net.name)}: {printable(net.title)}")
    print(f"{printable(net.source)}; {complexity.size}x{complexity.size} pixels, 1000 classes\n")
    rows = [[each.name, as_printed(each.output), f"{each.params:,}", f"{each.macs:,}"] for each in complexity.layers]
    total = ["total", "", f"{complexity.params:,}", f"{complexity.macs:,}"]
    print_table([["layer", "output", "parameters", "multiply-adds"], *rows, total])
    if net.aux:
        print(f"\nwith auxiliary heads on {' and '.join(net.aux)}: {complexity.params_with_aux:,} parameters")
