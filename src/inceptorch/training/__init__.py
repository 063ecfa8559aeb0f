"""Training a classifier. `trainer.py` has a run from top to bottom, on what `setup.py` builds; `step.py` is one step,
`loss.py` the loss, `recipe.py` how to train, `run.py` the folder of a run.

Names are imported when first used, so that recipes are printed without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inceptorch.training.api import resume as resume
    from inceptorch.training.api import train as train
    from inceptorch.training.callbacks import Callback as Callback
    from inceptorch.training.dry_run import DryRunReport as DryRunReport
    from inceptorch.training.dry_run import dry_run as dry_run
    from inceptorch.training.extend import Extension as Extension
    from inceptorch.training.extend import extend as extend
    from inceptorch.training.lr_finder import LRCurve as LRCurve
    from inceptorch.training.lr_finder import find_lr as find_lr
    from inceptorch.training.recipe import Recipe as Recipe
    from inceptorch.training.run import read_run_config as read_run_config
    from inceptorch.training.trainer import Result as Result

_MODULES = {
    "api": ("resume", "train"),
    "callbacks": ("Callback",),
    "dry_run": ("DryRunReport", "dry_run"),
    "extend": ("Extension", "extend"),
    "lr_finder": ("LRCurve", "find_lr"),
    "recipe": ("Recipe",),
    "run": ("read_run_config",),
    "trainer": ("Result",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            # Kept, as the submodule dry_run, once imported, would take the function's name.
            value = globals()[name] = getattr(import_module(f"inceptorch.training.{module}"), name)
            return value
    raise AttributeError(f"module 'inceptorch.training' has no attribute {name!r}")
