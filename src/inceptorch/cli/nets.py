from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json


def nets(
    name: Annotated[str | None, typer.Argument(help="One network, row by row.")] = None, json: Json = False
) -> None:
    """List the networks, or one of them as its table: shapes, parameters and multiply-adds of every row."""
    from inceptorch.costs import Cost, cost
    from inceptorch.nets import NETS

    def summary(counted: Cost) -> dict[str, object]:
        return {
            "name": counted.net,
            "source": counted.source,
            "size": counted.size,
            "params": counted.params,
            "macs": counted.macs,
        }

    if name is None:
        costs = [cost(each) for each in NETS]
        if json:
            print_json([summary(counted) for counted in costs])
            return
        print(f"{'network':<18}{'size':>5}{'parameters':>13}{'multiply-adds':>16}  what it is")
        for counted in costs:
            print(
                f"{counted.net:<18}{counted.size:>5}{counted.params:>13,}{counted.macs:>16,}  {NETS[counted.net].title}"
            )
        return

    counted = cost(name)
    if json:
        rows = [
            {"name": row.name, "output": list(row.output), "params": row.params, "macs": row.macs}
            for row in counted.rows
        ]
        print_json({**summary(counted), "params_with_aux": counted.params_with_aux, "rows": rows})
        return
    net = NETS[name]
    print(f"{net.name}: {net.title}\n{net.source}; {counted.size}x{counted.size} pixels, 1000 classes\n")
    print(f"{'row':<12}{'output':>16}{'parameters':>13}{'multiply-adds':>16}")
    for row in counted.rows:
        print(f"{row.name:<12}{'x'.join(map(str, row.output)):>16}{row.params:>13,}{row.macs:>16,}")
    print(f"{'total':<12}{'':>16}{counted.params:>13,}{counted.macs:>16,}")
    if net.aux:
        print(f"\nwith auxiliary heads on {' and '.join(net.aux)}: {counted.params_with_aux:,} parameters")
