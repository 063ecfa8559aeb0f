"""Out of memory."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.errors import RunError
from inceptorch.training.loss import TrainLoss
from inceptorch.training.memory import translate_oom
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET


def test_too_little_memory_says_what_to_change(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(TrainLoss, "forward", full)
    with pytest.raises(RunError, match="out of memory. .*grad_accum_steps=2.*in 2 chunks"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)


@pytest.mark.parametrize(
    ("batch_size", "steps", "chunks", "half"), [(64, 1, 2, 32), (64, 4, 8, 32), (5, 2, 2, 2), (3, 1, 1, 2)]
)
def test_the_remedies_are_more_chunks_and_half_the_batch(
    recipe: Recipe, batch_size: int, steps: int, chunks: int, half: int
) -> None:
    recipe = recipe.replace(batch_size=batch_size, grad_accum_steps=steps)
    sentence = rf"grad_accum_steps={chunks}, .* a batch of {batch_size} .* in {chunks} chunks, .* batch_size={half}\."
    with pytest.raises(RunError, match=sentence), translate_oom(recipe):
        raise MemoryError
