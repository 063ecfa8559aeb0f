from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table, printable

if TYPE_CHECKING:
    from inceptorch.networks.complexity import Complexity
    from inceptorch.networks.network import NetworkSpec


def nets(
    name: Annotated[
        str | None, typer.Argument(help="One network, row by row; a table of your own as a .yaml file.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Its paper's tables, printed against computed, with a verdict for each row.")
    ] = False,
    draw: Annotated[Path | None, typer.Option(help="Draw it into this file.", metavar="FILE.svg")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Its table as YAML, to begin one of your own with.")] = False,
    json: Json = False,
) -> None:
    """List the networks, or one of them as its table: shapes, parameters and multiply-adds of every row.

    inceptorch nets googlenet --paper

    inceptorch nets googlenet --yaml > mine.yaml
    """
    from inceptorch.errors import TableError
    from inceptorch.networks.complexity import count_complexity
    from inceptorch.networks.zoo import NETS, get_network

    if (paper, draw is not None, yaml).count(True) > 1 or (json and (draw or yaml)):
        raise TableError("--paper, --draw and --yaml are to be given one at a time, and --json alone or with --paper.")
    if draw and draw.suffix.lower() != ".svg":
        raise TableError(f"{draw} must end in .svg.")
    if name is None:
        if paper or draw or yaml:
            raise TableError("--paper, --draw and --yaml are for one network: name it.")
        costs = [count_complexity(each) for each in NETS]
        if json:
            print_json([_summary(counted) for counted in costs])
            return
        rows = [
            [each.net, str(each.size), f"{each.params:,}", f"{each.macs:,}", NETS[each.net].title] for each in costs
        ]
        print_table([["network", "size", "parameters", "multiply-adds", "what it is"], *rows])
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
        from inceptorch import papers

        if json:
            print_json(papers.to_json(net))
        else:
            print(papers.text(net), end="")
    elif json:
        counted = count_complexity(net)
        layers = [
            {"name": row.name, "output": list(row.output), "params": row.params, "macs": row.macs}
            for row in counted.layers
        ]
        print_json({**_summary(counted), "params_with_aux": counted.params_with_aux, "rows": layers})
    else:
        _print_table(net, count_complexity(net))


def _summary(counted: "Complexity") -> dict[str, Any]:
    return {
        "name": counted.net,
        "source": counted.source,
        "size": counted.size,
        "params": counted.params,
        "macs": counted.macs,
    }


def _print_table(net: "NetworkSpec", counted: "Complexity") -> None:
    from inceptorch.networks.layers import as_printed

    print(
        f"{printable(net.name)}: {printable(net.title)}\n{printable(net.source)}; {counted.size}x{counted.size} pixels, 1000 classes\n"
    )
    rows = [[row.name, as_printed(row.output), f"{row.params:,}", f"{row.macs:,}"] for row in counted.layers]
    total = ["total", "", f"{counted.params:,}", f"{counted.macs:,}"]
    print_table([["layer", "output", "parameters", "multiply-adds"], *rows, total])
    if net.aux:
        print(f"\nwith auxiliary heads on {' and '.join(net.aux)}: {counted.params_with_aux:,} parameters")
