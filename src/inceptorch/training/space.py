"""Whether the disk has room for what a run writes."""

import shutil

from inceptorch.errors import RunError
from inceptorch.training.work import Work

COPIES = 4  # of the weights: the classifier, and in a checkpoint the model, its average and the optimiser's memory
MIB = 2**20


def check_space(work: Work) -> None:
    """Raise RunError before anything is written where the disk has no room for a run's classifier and checkpoint."""
    folder = work.run.folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    needed = COPIES * sum(tensor.nbytes for tensor in work.classifier.model.state_dict().values())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise RunError(
            f"The disk of {folder} has {free // MIB} MiB free, and the classifier and its checkpoint need about "
            f"{-(-needed // MIB)} MiB; make room, or name another --out."
        )
