"""What two processes reach on this machine, and what many GPUs would by simulation: python -m bench.scaling

Measured are gloo's all-reduce between two processes of one thread each, and a training step alone, beside another process,
and with it as training joins them; rounds alternate. The simulated step (bench/simulate.py) is held against the last. Nothing
was measured on a GPU: its figures follow from the assumptions below. --decode names the training pictures that one core
decodes and crops in a second, by default what bench/input.py measured for JPEG of 500x375 pixels.
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F

from bench.common import RESULTS, save
from bench.simulate import CLASSES, FLOAT, PASSES, Link, pictures_per_second, rows_backward, simulate, step
from inceptorch import nets
from inceptorch.costs import cost
from inceptorch.files import write_whole
from inceptorch.model import Model
from inceptorch.plots import BLUE, GRID, INK, ORANGE
from inceptorch.processes import Processes
from inceptorch.recipes import find_recipe

# Measured here.
SIZES = [1 << power for power in range(12, 26, 2)] + [1 << 25]  # bytes of an all-reduce
CASES = tuple(
    (net, pictures) for net in ("googlenet_small", "inception_v3_small") for pictures in (2, 8)
)  # of a process
ROUNDS = 15  # a step of each kind in each

# Assumed. Data sheets' figures and round shares of them, none measured by us.
PEAK, SHARE = 312e12, 0.2  # operations a second of an A100 in bf16, and what a network of convolutions makes of them
NVLINK = Link("NVLink", bandwidth=200e9, latency=5e-6)  # joins the GPUs of a machine
ETHERNET = (Link("100 Gb/s", 0.9 * 100e9 / 8, 20e-6), Link("25 Gb/s", 0.9 * 25e9 / 8, 20e-6))  # one adaptor a machine
IN_A_MACHINE = 8
WORKERS = 8  # processes that decode, of a GPU
IMAGENET, JPEG = 1_281_167, 115_000  # training pictures, and bytes of one on average
TRAININGS = (
    ("szegedy2014", "googlenet_bn"),
    ("ioffe2015", "bn_inception"),
    ("szegedy2015", "inception_v3"),
    ("szegedy2016", "inception_v4"),
)
PICTURES = (32, 128)  # of a GPU, in a step
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHOWN = (1, 8, 64)
SEEN = 0.2  # share of a step from which on the link limits it

PLOT = Path(__file__).parents[1] / "docs" / "scaling.png"


def main() -> None:
    arguments = argparse.ArgumentParser(description="Scaling, measured here and simulated.")
    arguments.add_argument("--decode", type=float, metavar="PICTURES_PER_SECOND", help="of one core")
    decode = arguments.parse_args().decode or measured_decode()
    simulation = simulated(decode)
    save("scaling", {"command": "python -m bench.scaling", "measured_here": measure(), "simulated": simulation})
    draw(simulation["efficiency"], PLOT)


def measured_decode() -> float:
    """Training pictures a second on one core, of 500x375 JPEG, as bench/input.py measured them."""
    path = RESULTS / "input.json"
    if not path.exists():
        raise SystemExit(f"{path} is not there: run python -m bench.input first, or name a rate with --decode.")
    rows = json.loads(path.read_text())["rows"]
    return next(float(row["per_second"]["ours"]) for row in rows if row["pictures"] == "500x375 JPEG")


# Two processes on this machine.


def measure() -> dict[str, Any]:
    """The all-reduce, its fit, and each case with what the simulation makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_process, (folder,), nprocs=2)  # type: ignore[no-untyped-call]
        found = json.loads(Path(folder, "found.json").read_text())
    fit = fitted(found["all_reduce"])
    return {
        "threads_per_process": 1,
        "note": "Other work ran on the same two cores.",
        "all_reduce": found["all_reduce"],
        "fit": fit,
        "steps": [_compared(case, fit) for case in found["steps"]],
    }


def fitted(rows: list[dict[str, float]]) -> dict[str, float]:
    """Seconds = latency + bytes / bandwidth, by least squares of relative errors; the largest of those beside it."""
    sizes, seconds = np.array([[row["bytes"], row["seconds"]] for row in rows]).T
    slope, latency = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    error = np.abs((latency + slope * sizes) / seconds - 1).max()
    return {"latency": float(latency), "bandwidth": float(1 / slope), "largest_relative_error": float(error)}


def _compared(case: dict[str, Any], fit: dict[str, float]) -> dict[str, Any]:
    """A case's medians, beside its step as simulated from what a process needs beside another one and from the fitted
    link. Each round is simulated by itself, as the machine may have been busier in another."""
    rounds = case.pop("rounds")
    for one in rounds:
        one["overlapped"], one["in_turn"] = _predicted(case["net"], one["beside_another"], fit)
        one["alone"], one["beside_another"] = sum(one["alone"].values()), sum(one["beside_another"].values())
    medians = {name: median(one[name] for one in rounds) for name in rounds[0]}
    ratios = {
        f"{name}_to_measured": median(one[name] / one["distributed"] for one in rounds)
        for name in ("overlapped", "in_turn")
    }
    speedup = median(2 * one["alone"] / one["distributed"] for one in rounds)
    return case | {"seconds": medians} | ratios | {"throughput_of_2": speedup}


def _predicted(name: str, parts: dict[str, float], fit: dict[str, float]) -> tuple[float, float]:
    """Seconds of a step of two processes: with the link at work beside the backward pass, and after it."""
    rows = rows_backward(nets.net(name), aux=False)
    macs = sum(row.macs for row in rows)
    result = simulate(
        parts["forward"],
        [parts["backward"] * row.macs / macs for row in rows],
        [row.gradients for row in rows],
        lambda size: fit["latency"] + size / fit["bandwidth"],
    )
    return result.seconds + parts["update"], result.network + result.link + parts["update"]


def _process(rank: int, folder: str) -> None:
    """One of two; the first writes down what it sees."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {"all_reduce": list(_all_reduces()), "steps": [_steps(net, pictures) for net, pictures in CASES]}
    if rank == 0:
        Path(folder, "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def _all_reduces() -> Iterator[dict[str, float]]:
    for size in SIZES:
        numbers = torch.zeros(size // FLOAT)
        times = []
        for _ in range(3 * ROUNDS + 2):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(numbers)
            times.append(time.perf_counter() - began)
        yield {"bytes": size, "seconds": median(times[2:])}


def _steps(name: str, pictures: int) -> dict[str, Any]:
    """Seconds of a step and of its parts: alone while the other process waits, beside it, and together with it."""
    torch.manual_seed(0)
    net = nets.net(name)
    plain = Model(net, CLASSES).to(memory_format=torch.channels_last)
    both = Processes(dist.get_rank(), dist.get_world_size(), torch.device("cpu")).wrap(copy.deepcopy(plain))
    x = torch.randn(pictures, 3, net.size, net.size).to(memory_format=torch.channels_last)
    run, run_together = _stepper(plain, x), _stepper(both, x)
    rounds = []
    for _ in range(ROUNDS + 1):
        dist.barrier()
        alone = run() if dist.get_rank() == 0 else {}
        dist.barrier()
        beside_another = run()
        dist.barrier()
        distributed = sum(run_together().values())
        rounds.append({"alone": alone, "beside_another": beside_another, "distributed": distributed})
    about = {"net": name, "pictures": pictures, "gradient_bytes": FLOAT * cost(net).params}
    return about | {"rounds": rounds[1:]}  # the first one warms up


def _stepper(model: nn.Module, x: torch.Tensor) -> Callable[[], dict[str, float]]:
    """A function that takes one training step and says how long its parts took."""
    labels = torch.zeros(len(x), dtype=torch.long)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)

    def run() -> dict[str, float]:
        optimizer.zero_grad()
        at = [time.perf_counter()]
        loss = F.cross_entropy(model(x), labels)
        at.append(time.perf_counter())
        loss.backward()  # type: ignore[no-untyped-call]
        at.append(time.perf_counter())
        optimizer.step()
        at.append(time.perf_counter())
        return dict(zip(("forward", "backward", "update"), np.diff(at).tolist(), strict=True))

    return run


# Many GPUs, simulated.


def simulated(decode: float) -> dict[str, Any]:
    """All that follows from the assumptions, and from `decode` pictures a second of a core."""
    return {
        "assumptions": {
            "peak_operations_per_second": PEAK,
            "share_of_peak": SHARE,
            "operations_per_picture": f"{PASSES} x 2 x multiply-adds",
            "links": [asdict(link) for link in (NVLINK, *ETHERNET)],
            "gpus_in_a_machine": IN_A_MACHINE,
            "decode_workers_per_gpu": WORKERS,
            "decoded_per_second_and_core": decode,
            "bytes_of_a_picture": JPEG,
            "training_pictures": IMAGENET,
        },
        "traffic": [_traffic(net, aux) for net, aux in networks()],
        "efficiency": [
            _efficiency(net, aux, pictures, gpus, link)
            for net, aux in networks()
            for pictures in PICTURES
            for link in (NVLINK, *ETHERNET)
            for gpus in GPUS
        ],
        "synchronised": [_synchronised(net, aux) for net, aux in networks()],
        "input": [_input(net, aux, decode) for net, aux in networks()],
        "trainings": [_training(recipe, net, decode) for recipe, net in TRAININGS],
    }


def networks() -> list[tuple[str, bool]]:
    """Each paper's network, and whether its recipe trains the auxiliary heads."""
    return [(net, _has_aux(recipe, net)) for recipe, net in TRAININGS]


def _has_aux(recipe: str, net: str) -> bool:
    return bool(nets.net(net).aux) and find_recipe(recipe).aux_weight > 0


def _rate(net: str, aux: bool) -> float:
    """Pictures a second of one GPU."""
    return pictures_per_second(nets.net(net), aux, PEAK, SHARE)


def _link(gpus: int, between: Link) -> Link:
    """The slowest link of a ring over so many GPUs: within a machine NVLink, else what joins machines."""
    return NVLINK if gpus <= IN_A_MACHINE else between


def _traffic(net: str, aux: bool) -> dict[str, Any]:
    """What a step moves."""
    size = sum(row.gradients for row in rows_backward(nets.net(net), aux))
    sent = {str(gpus): 2 * (gpus - 1) / gpus * size for gpus in SHOWN}
    links = [(NVLINK, IN_A_MACHINE), *((link, SHOWN[-1]) for link in ETHERNET)]
    seconds = {link.name: link.all_reduce(size, gpus) for link, gpus in links}
    return {"net": net, "aux": aux, "gradient_bytes": size, "sent_bytes": sent, "seconds": seconds}


def _efficiency(net: str, aux: bool, pictures: int, gpus: int, between: Link) -> dict[str, Any]:
    """The network's share of a step of network and link, without input."""
    result = step(nets.net(net), aux, pictures, _rate(net, aux), _link(gpus, between), gpus)
    share = round(result.network / result.seconds, 4)
    return {"net": net, "pictures": pictures, "between_machines": between.name, "gpus": gpus, "efficiency": share}


def _synchronised(net: str, aux: bool) -> dict[str, Any]:
    """What synchronised batch normalisation waits for in a step: each layer's gathering going forward and its sum going
    back, a few kilobytes each, so hops are what counts."""
    layers = sum(
        isinstance(layer, nn.BatchNorm2d) for layer in Model(nets.net(net), aux=aux, initialise=False).modules()
    )
    rings = [(NVLINK, IN_A_MACHINE), (ETHERNET[0], SHOWN[-1])]
    seconds = {str(gpus): 3 * (gpus - 1) * link.latency * layers for link, gpus in rings}
    return {"net": net, "layers": layers, "network": PICTURES[0] / _rate(net, aux), "seconds": seconds}


def _input(net: str, aux: bool, decode: float) -> dict[str, Any]:
    """What the network eats at full speed."""
    rate = _rate(net, aux)
    return {
        "net": net,
        "pictures_per_second": rate,
        "cores_per_gpu": rate / decode,
        "bytes_per_second": {str(gpus): gpus * rate * JPEG for gpus in SHOWN},
    }


def _training(recipe: str, net: str, decode: float) -> dict[str, Any]:
    """Hours for a recipe's epochs over ImageNet, and what limits a step: the network, the link, or input."""
    aux = _has_aux(recipe, net)
    epochs = find_recipe(recipe).epochs
    rows = []
    for gpus in SHOWN:
        for pictures in PICTURES:
            result = step(nets.net(net), aux, pictures, _rate(net, aux), _link(gpus, ETHERNET[0]), gpus)
            seconds = max(result.seconds, pictures / (WORKERS * decode))
            limit = "link" if result.exposed > SEEN * result.seconds else "network"
            hours = epochs * IMAGENET / (gpus * pictures / seconds) / 3600
            rows.append(
                {
                    "gpus": gpus,
                    "pictures": pictures,
                    "hours": hours,
                    "limit": "input" if seconds > result.seconds else limit,
                }
            )
    return {"recipe": recipe, "net": net, "epochs": epochs, "rows": rows}


def draw(points: list[dict[str, Any]], out: Path) -> None:
    """Efficiency against the number of GPUs: a row for each of two networks, a column for each number of pictures."""
    from matplotlib.figure import Figure

    shown = ("googlenet_bn", "inception_v3")
    colours = dict(zip((NVLINK.name, *(link.name for link in ETHERNET)), (INK, BLUE, ORANGE), strict=True))
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    grid = figure.subplots(len(shown), len(PICTURES), sharex=True, sharey=True)
    for net, line in zip(shown, grid, strict=True):
        for pictures, axes in zip(PICTURES, line, strict=True):
            for name, colour in colours.items():
                rows = [
                    row
                    for row in points
                    if (row["net"], row["pictures"], row["between_machines"]) == (net, pictures, name)
                ]
                at = [row["gpus"] for row in rows]
                axes.plot(at, [100 * row["efficiency"] for row in rows], color=colour, marker="o", ms=3.5, label=name)
            axes.set_title(f"{net}, {pictures} pictures per GPU", loc="left", color=INK, fontsize=10)
            axes.set_xscale("log", base=2)
            axes.set_xticks(GPUS, [str(gpus) for gpus in GPUS])
            axes.set_ylim(0, 105)
            axes.axvline(IN_A_MACHINE, color=GRID, lw=1.5)
            axes.grid(color=GRID, lw=0.7)
            axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("per cent of linear")
    for axes in grid[-1]:
        axes.set_xlabel(f"GPUs ({IN_A_MACHINE} in a machine)")
    grid[0, 1].legend(frameon=False, loc="lower left", title="between machines", alignment="left")
    figure.suptitle("Simulated, under the assumptions of docs/scaling.md", x=0.01, ha="left", color=INK, fontsize=10)
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


if __name__ == "__main__":
    main()
