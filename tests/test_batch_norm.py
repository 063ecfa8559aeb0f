"""Batch normalisation over two real processes says what one process says of both their pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from inceptorch.model import Model
from inceptorch.training.batch_norm import SynchronisedBatchNorm2d, synchronised
from tests.conftest import TINY

CHANNELS = 5
SPLITS = {"3 and 5": (3, 5), "0 and 8": (0, 8)}
CASES: dict[str, dict[str, Any]] = {
    "float64": {"dtype": torch.float64},
    "float32": {"dtype": torch.float32},
    "far from zero": {"dtype": torch.float32, "offset": 100.0},
    "channels last": {"dtype": torch.float64, "format": torch.channels_last},
    "no weight": {"dtype": torch.float64, "affine": False},
    "zero weight": {"dtype": torch.float64, "weight": 0.0},
    "all batches averaged": {"dtype": torch.float64, "momentum": None},
    "nothing tracked": {"dtype": torch.float64, "tracked": False},
    "bf16": {"dtype": torch.float32, "bf16": True},
}
RUNS = [(case, split) for case in CASES for split in SPLITS]
TOLERANCES = {"float32": 1e-6, "far from zero": 1e-4, "bf16": 2e-2}  # 1e-12 for the others


def layer(case: str) -> nn.BatchNorm2d:
    about = CASES[case]
    norm = nn.BatchNorm2d(
        CHANNELS, 1e-3, about.get("momentum", 0.1), about.get("affine", True), about.get("tracked", True)
    )
    if norm.affine:
        torch.manual_seed(1)
        nn.init.normal_(norm.weight, about.get("weight", 1.0), 0.0 if "weight" in about else 0.5)
        nn.init.normal_(norm.bias)
    return norm.to(about["dtype"])


def pictures(case: str) -> tuple[list[Tensor], list[Tensor]]:
    """Two batches of 8 and a weight for every number that comes out, for a loss."""
    about = CASES[case]
    torch.manual_seed(2)
    shape = (8, CHANNELS, 4, 3)
    scale = torch.linspace(0.1, 3, CHANNELS).view(1, -1, 1, 1)
    format = about.get("format", torch.contiguous_format)
    batches = [
        (torch.randn(shape) * scale + about.get("offset", 1.0)).to(about["dtype"], memory_format=format)
        for _ in range(2)
    ]
    if about.get("bf16"):  # as a convolution leaves them
        batches = [batch.bfloat16() for batch in batches]
    return batches, [torch.randn(shape, dtype=about["dtype"]) for _ in range(2)]


def run(case: str, norm: nn.BatchNorm2d, part: slice) -> dict[str, Tensor]:
    """Two steps on a part of each batch: outputs, gradients and what the layer then holds."""
    found: dict[str, Tensor] = {}
    for step, (batch, weights) in enumerate(zip(*pictures(case), strict=True)):
        x = batch[part].clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=CASES[case].get("bf16", False)):
            out = norm(x)
        (out * weights[part]).square().sum().backward()
        assert x.grad is not None
        found |= {f"out {step}": out.detach(), f"input gradient {step}": x.grad}
    gradients = {f"gradient of {name}": p.grad for name, p in norm.named_parameters() if p.grad is not None}
    return found | gradients | {f"state of {name}": tensor.clone() for name, tensor in norm.state_dict().items()}


def network() -> Model:
    torch.manual_seed(3)
    return Model(TINY, 3).double()


def run_network(model: nn.Module, part: slice) -> dict[str, Tensor]:
    """A step of the three-row network, its rows computed again going backward."""
    torch.manual_seed(4)
    x = torch.randn(8, 3, 16, 16, dtype=torch.float64)
    out = model(x[part])
    out.square().sum().backward()
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return gradients | {f"state of {name}": tensor for name, tensor in model.named_buffers()}


def without_dropout(model: Model) -> Model:
    model.head.get_submodule("dropout").eval()
    return model


def one_of_two(rank: int, folder: str) -> None:
    """What each process does: every case with every split."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {}
    for case, split in RUNS:
        first = SPLITS[split][0]
        part = slice(0, first) if rank == 0 else slice(first, 8)
        norm = synchronised(layer(case))
        assert isinstance(norm, nn.BatchNorm2d)
        found[f"{case}, {split}"] = run(case, norm, part)
    model = without_dropout(network().train())
    synchronised(model).train()
    without_dropout(model).set_grad_checkpointing()
    found["network"] = run_network(model, slice(0, 3) if rank == 0 else slice(3, 8))
    try:
        synchronised(layer("float64"))(torch.zeros(1 - rank, CHANNELS, 1, 1, dtype=torch.float64))
    except ValueError as error:
        found["one value"] = {str(error): torch.zeros(0)}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What two processes found, each on its part of the pictures."""
    folder = tmp_path_factory.mktemp("processes")
    spawn(one_of_two, (str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(Path(folder, f"{rank}.pt"), weights_only=True) for rank in range(2)]


def together(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Outputs and gradients of pictures side by side, gradients of parameters summed; what is held must be the same."""
    whole = {}
    for name, first in parts[0].items():
        second = parts[1][name]
        if name.startswith("state"):
            assert torch.equal(first, second), name
            whole[name] = first
        else:
            whole[name] = first + second if name.startswith("gradient") else torch.cat([first, second])
    return whole


def assert_close(name: str, result: Tensor, expected: Tensor, tolerance: float) -> None:
    assert result.dtype == expected.dtype, name
    assert float((result - expected).abs().max()) <= tolerance, name


@pytest.mark.parametrize(("case", "split"), RUNS)
def test_two_processes_say_what_one_says_of_all_pictures(
    found: list[dict[str, dict[str, Tensor]]], case: str, split: str
) -> None:
    expected = run(case, layer(case), slice(0, 8))
    result = together([part[f"{case}, {split}"] for part in found])
    assert list(result) == list(expected)
    tolerance = TOLERANCES.get(case, 1e-12)
    for name, tensor in expected.items():
        scale = max(1.0, float(tensor.abs().max()))
        assert_close(name, result[name], tensor, tolerance * scale)


def test_a_network_whose_rows_are_computed_again_counts_a_batch_once(
    found: list[dict[str, dict[str, Tensor]]],
) -> None:
    expected = run_network(without_dropout(network().train()), slice(0, 8))
    result = together([part["network"] for part in found])
    assert list(result) == list(expected)
    for name, tensor in expected.items():
        assert_close(name, result[name], tensor, 1e-10)


def test_one_value_of_all_processes_is_refused(found: list[dict[str, dict[str, Tensor]]]) -> None:
    for part in found:
        assert list(part["one value"]) == [
            "Batch normalisation needs more than 1 value per channel in training, not 1."
        ]


def test_a_synchronised_network_has_the_same_parameters_and_answers() -> None:
    model = network()
    plain = copy.deepcopy(model).eval()
    parameters = dict(model.named_parameters())
    assert synchronised(model) is model
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(isinstance(norm, SynchronisedBatchNorm2d) for norm in norms)
    after = dict(model.named_parameters())
    assert list(after) == list(parameters)
    assert all(after[name] is parameter for name, parameter in parameters.items())  # an optimiser may hold them already
    assert list(model.state_dict()) == list(plain.state_dict())
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert torch.equal(model.eval()(x), plain(x))


def test_a_process_alone_normalises_as_torch_does() -> None:
    alone = run("float32", synchronised(layer("float32")), slice(0, 8))  # type: ignore[arg-type]
    expected = run("float32", layer("float32"), slice(0, 8))
    for name, tensor in expected.items():
        assert torch.equal(alone[name], tensor), name
