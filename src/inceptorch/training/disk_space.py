"""Whether the disk has room for what a run writes."""

import shutil

from inceptorch.errors import RunError
from inceptorch.training.recipe import Recipe
from inceptorch.training.setup import TrainingContext

MIB = 2**20


def check_disk_space(context: TrainingContext) -> None:
    """Raise RunError before anything is written where the disk has no room for a run's classifier and checkpoint."""
    folder = context.run.folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    weights = sum(tensor.nbytes for tensor in context.classifier.model.state_dict().values())
    needed, free = copies(context.run.recipe) * weights, shutil.disk_usage(there).free
    if free < needed:
        raise RunError(
            f"The disk of {folder} has {free // MIB} MiB free, and the classifier and its checkpoint need about "
            f"{-(-needed // MIB)} MiB; make room, or name another --out."
        )


def copies(recipe: Recipe) -> int:
    """Copies of the weights on disk at most: the classifier and two checkpoints, as the old one stays until the new one
    is complete. Each holds the model, its average and the optimizer's state."""
    if not recipe.schedule.epochs:
        return 3
    average = bool(recipe.optimization.ema_decay or recipe.optimization.average_last_fraction)
    optimizer = 1 if recipe.optimization.optimizer == "sgd" else 2
    return 1 + 2 * (1 + average + optimizer)
