"""The tables of docs/scaling.md, from what bench/scaling.py measured and simulated."""

from collections.abc import Sequence
from typing import Any

SHOWN = (1, 8, 64)


def page(record: dict[str, Any]) -> str:
    """All tables, each under its heading."""
    measured, simulated = record["measured_here"], record["simulated"]
    machine = record["machine"]
    parts = [
        f"By `{record['command']}` on {record['measured']}, {machine['cores']} cores of an {machine['processor']}, torch "
        f"{record['versions']['torch']}. {measured['note']}",
        "### Measured here: gloo's all-reduce between two processes",
        *all_reduces(measured),
        "### Measured here, beside the simulation: a training step of two processes",
        *steps(measured["steps"]),
        "### Assumed",
        *assumptions(simulated["assumptions"]),
        "### Simulated: what a step moves",
        *traffic(simulated["traffic"]),
        "### Simulated: efficiency of network and link",
        *efficiency(simulated["efficiency"]),
        "### Simulated: what synchronised batch normalisation waits for, at most",
        *synchronised(simulated["synchronised"]),
        "### Simulated: input at full speed",
        *eaten(simulated["input"]),
        "### Simulated: hours for each paper's recipe, with 100 Gb/s between machines, and what limits a step",
        *trainings(simulated["trainings"]),
    ]
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def all_reduces(measured: dict[str, Any]) -> list[str]:
    fit = measured["fit"]
    told = (
        f"Fitted: {1e3 * fit['latency']:.2f} ms and {fit['bandwidth'] / 1e9:.2f} GB/s; the largest relative error of the fit "
        f"is {fit['largest_relative_error']:.0%}."
    )
    rows = [
        (f"{row['bytes'] / 1024:,.0f}", f"{1e3 * row['seconds']:.2f}", f"{1e3 * fitted(fit, row['bytes']):.2f}")
        for row in measured["all_reduce"]
    ]
    return [told, table(("KiB", "ms", "fitted"), rows)]


def fitted(fit: dict[str, float], size: int) -> float:
    return fit["latency"] + size / fit["bandwidth"]


def steps(cases: list[dict[str, Any]]) -> list[str]:
    rows = []
    for case in cases:
        seconds = case["seconds"]
        times = [1e3 * seconds[name] for name in ("alone", "beside_another", "distributed", "overlapped", "in_turn")]
        ratios = [case[f"{name}_to_measured"] for name in ("overlapped", "in_turn")]
        rows.append(
            (
                f"{case['net']}, {case['pictures']} pictures each",
                f"{case['gradient_bytes'] / 1e6:.0f}",
                *(f"{time:.0f}" for time in times),
                " to ".join(f"{ratio:.2f}" for ratio in ratios),
                f"{case['throughput_of_2']:.2f}",
            )
        )
    columns = (
        "network",
        "MB",
        "alone, ms",
        "beside another",
        "together",
        "predicted, overlapped",
        "predicted, in turn",
        "predicted / measured",
        "pictures/s of 2 / of 1",
    )
    told = (
        "Beside another, two processes compute at once and send nothing. Predicted is that with the link at work beside the "
        "backward pass, and with the link after it. The ratio is the median of each round's, and what else ran disturbs it "
        "least; it disturbs the last column most."
    )
    return [told, table(columns, rows)]


def assumptions(assumed: dict[str, Any]) -> list[str]:
    rows = [
        (
            "a GPU",
            f"{assumed['peak_operations_per_second'] / 1e12:.0f} tera-operations/s at best, {assumed['share_of_peak']:.0%} of "
            f"which a network reaches; a picture takes {assumed['operations_per_picture']}",
        )
    ]
    rows += [
        (
            f"link {link['name']}",
            f"{link['bandwidth'] / 1e9:.1f} GB/s each way, {1e6 * link['latency']:.0f} µs for a hop",
        )
        for link in assumed["links"]
    ]
    rows += [
        ("a machine", f"{assumed['gpus_in_a_machine']} GPUs on NVLink, one adaptor to the other machines"),
        (
            "input",
            f"{assumed['decode_workers_per_gpu']} processes per GPU, each {assumed['decoded_per_second_and_core']:.0f} "
            f"pictures/s (measured on one core here, 500x375 to 224); {assumed['bytes_of_a_picture'] / 1e3:.0f} kB a picture",
        ),
        ("an epoch", f"{assumed['training_pictures']:,} pictures"),
    ]
    return [table(("what", "assumption"), rows)]


def traffic(cases: list[dict[str, Any]]) -> list[str]:
    links = list(cases[0]["seconds"])
    columns = (
        "network",
        "gradients, MB",
        *(f"sent by each of {gpus}, MB" for gpus in SHOWN[1:]),
        f"{links[0]}, 8 GPUs, ms",
        *(f"{link}, 64 GPUs, ms" for link in links[1:]),
    )
    rows = [
        (
            case["net"] + (" with auxiliary heads" if case["aux"] else ""),
            f"{case['gradient_bytes'] / 1e6:.1f}",
            *(f"{case['sent_bytes'][str(gpus)] / 1e6:.0f}" for gpus in SHOWN[1:]),
            *(f"{1e3 * case['seconds'][link]:.1f}" for link in links),
        )
        for case in cases
    ]
    return [table(columns, rows)]


def efficiency(points: list[dict[str, Any]]) -> list[str]:
    """A row for each network and number of pictures, a column for each number of GPUs and link."""
    found = {(p["net"], p["pictures"], p["between_machines"], p["gpus"]): p["efficiency"] for p in points}
    links = list(dict.fromkeys(point["between_machines"] for point in points))
    shown = [(links[0], gpus) for gpus in SHOWN] + [(link, SHOWN[-1]) for link in links[1:]]
    cases = dict.fromkeys((point["net"], point["pictures"]) for point in points)
    rows = [
        (net, str(pictures), *(f"{found[net, pictures, link, gpus]:.0%}" for link, gpus in shown))
        for net, pictures in cases
    ]
    columns = ("network", "pictures per GPU", "1 GPU", *(f"{gpus}, {link}" for link, gpus in shown[1:]))
    return [table(columns, rows)]


def synchronised(cases: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            case["net"],
            str(case["layers"]),
            f"{1e3 * case['network']:.1f}",
            *(f"{1e3 * s:.1f}" for s in case["seconds"].values()),
        )
        for case in cases
    ]
    return [table(("network", "layers", "network, 32 pictures, ms", "8 GPUs, NVLink, ms", "64, 100 Gb/s, ms"), rows)]


def eaten(cases: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            case["net"],
            f"{case['pictures_per_second']:,.0f}",
            f"{case['cores_per_gpu']:.1f}",
            *(f"{case['bytes_per_second'][str(gpus)] / 1e9:.2f}" for gpus in SHOWN),
        )
        for case in cases
    ]
    columns = ("network", "pictures/s of a GPU", "cores per GPU", *(f"GB/s of JPEG for {gpus}" for gpus in SHOWN))
    return [table(columns, rows)]


def trainings(cases: list[dict[str, Any]]) -> list[str]:
    columns = [f"{row['gpus']} x {row['pictures']}" for row in cases[0]["rows"]]
    rows = [
        (
            f"`--recipe {case['recipe']} --net {case['net']}`",
            str(case["epochs"]),
            *(f"{row['hours']:.1f}, {row['limit']}" for row in case["rows"]),
        )
        for case in cases
    ]
    return [table(("recipe", "epochs", *columns), rows)]
