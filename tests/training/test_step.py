"""One step: the gradients of several processes, and of accumulated chunks."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import BatchNorm
from inceptorch.networks.network import NetworkSpec
from inceptorch.runtime.distributed import DistributedContext, init_distributed
from inceptorch.tasks import Classification
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import Recipe
from inceptorch.training.step import TrainStep
from tests.training.helpers import CPU, PLAIN, RECIPE, batch, free_port, gradients


def in_process(rank: int, count: int, port: int, net: NetworkSpec, recipe: Recipe, size: int, out: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with init_distributed() as world:
        found = gradients(net, recipe, world, *batch(size))
    if rank == 0:
        np.save(out, found.numpy())


def test_accumulated_parts_give_the_gradients_of_the_whole() -> None:
    world = DistributedContext(0, 1, CPU)
    whole, parts = (gradients(PLAIN, RECIPE.replace(grad_accum_steps=n), world, *batch(8)) for n in (1, 3))
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("count", "size", "parts"), [(2, 7, 1), (3, 7, 1), (2, 9, 2)])
@pytest.mark.slow
def test_the_gradients_of_several_processes_are_those_of_one(count: int, size: int, parts: int, tmp_path: Path) -> None:
    """Uneven shares, and shares of which one could be divided further than the other."""
    out, recipe = tmp_path / "gradients.npy", RECIPE.replace(grad_accum_steps=parts)
    arguments = (count, free_port(), PLAIN, recipe, size, str(out))
    multiprocessing.spawn(in_process, arguments, nprocs=count)  # type: ignore[attr-defined,no-untyped-call]
    alone = gradients(PLAIN, RECIPE, DistributedContext(0, 1, CPU), *batch(size)).numpy()
    assert np.abs(alone).max() > 0.01
    np.testing.assert_allclose(np.load(out), alone, rtol=1e-6, atol=1e-6 * np.abs(alone).max())


def test_all_processes_go_through_the_network_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """However uneven their shares: with batch normalization over processes, one would wait for the other for ever."""
    for size in (7, 15, 16):
        passes = []
        for rank in range(2):
            world, seen = DistributedContext(rank, 2, CPU), [0]
            monkeypatch.setattr(DistributedContext, "wrap", lambda self, module: module)

            def counted(self: TrainStep, *args: object, seen: list[int] = seen) -> torch.Tensor:
                seen[0] += 1
                return torch.zeros((), dtype=torch.float64)

            monkeypatch.setattr(TrainStep, "_backward", counted)
            model = Model(PLAIN, 3, size=16)
            classifier = Classifier.of(model, default_preprocessing(16), ["a", "b", "c"])
            recipe = RECIPE.replace(grad_accum_steps=4)
            task = Classification(classifier.classes)
            step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, torch.ones(3), world)
            images, labels = batch(size)
            mine = world.shard(range(size))
            step(images[mine], labels[mine], size, 0.0, seed=1)
            passes.append(seen[0])
        assert passes[0] == passes[1] == min(4, size // 4)


def test_what_a_step_draws_depends_on_its_seed_alone() -> None:
    """Mixing too, which draws outside the network."""
    recipe, world = RECIPE.replace(mixup_alpha=0.4), DistributedContext(0, 1, CPU)
    task = Classification(("a", "b", "c"))

    def loss(seed: int) -> float:
        torch.manual_seed(0)
        model = Model(PLAIN, 3, size=16)
        classifier = Classifier.of(model, default_preprocessing(16), task.classes)
        step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, torch.ones(3), world)
        return float(step(*batch(8), 8, 0.0, seed=seed))

    assert loss(1) == loss(1)
    assert len({loss(seed) for seed in range(4)}) == 4


def test_gradients_that_the_optimizer_does_not_use_do_not_add_up() -> None:
    """Muon leaves normalization's scales alone; clipping looks at all gradients."""
    recipe, task = RECIPE.replace(optimizer="muon"), Classification(("a", "b", "c"))
    model = Model(replace(PLAIN, norm=BatchNorm()), 3, size=16)
    classifier, world = Classifier.of(model, default_preprocessing(16), task.classes), DistributedContext(0, 1, CPU)
    step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, torch.ones(3), world)
    scale = next(parameter for name, parameter in model.named_parameters() if name.endswith("bn.weight"))
    found = []
    for _ in range(3):
        step(*batch(8), 8, 0.0, seed=1)
        assert scale.grad is not None
        found.append(scale.grad.clone())
    torch.testing.assert_close(found[2], found[1])


def test_the_loss_is_summed_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("meta")  # in place of a GPU
    monkeypatch.setattr(TrainStep, "_backward", lambda self, *args: torch.ones((), dtype=torch.float64, device=device))
    model, task = Model(PLAIN, 3, size=16), Classification(("a", "b", "c"))
    classifier = Classifier.of(model, default_preprocessing(16), task.classes)
    world = DistributedContext(0, 1, device)
    step = TrainStep(classifier, build_optimizer(model, RECIPE), RECIPE, task, torch.ones(3), world)
    assert step(*batch(8), 8, 0.0, seed=1).device == device
