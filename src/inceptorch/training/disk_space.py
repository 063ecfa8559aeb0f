"""Room on the disk for a run's files."""

import shutil

from inceptorch.errors import RunError
from inceptorch.training.setup import TrainingContext

MIB = 2**20


def check_disk_space(context: TrainingContext) -> None:
    """Raise RunError before anything is written where the disk has no room for a run's classifier and checkpoint."""
    folder = context.run.folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    weights = sum(tensor.nbytes for tensor in context.classifier.model.state_dict().values())
    config, copies = context.run.recipe.optimization, 3  # the classifier and two checkpoints: the old one stays until
    if context.run.recipe.schedule.epochs:  # the new one is complete. Each holds model, average and optimizer state.
        average = bool(config.ema_decay or config.average_last_fraction)
        copies = 1 + 2 * (1 + average + (1 if config.optimizer == "sgd" else 2))
    needed, free = copies * weights, shutil.disk_usage(there).free
    if free < needed:
        raise RunError(
            f"Cannot train in {folder}: its disk has {free // MIB} MiB free; classifier and checkpoints need about "
            f"{-(-needed // MIB)} MiB. Make room, or name another --out."
        )
