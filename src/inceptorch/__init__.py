"""inceptorch: the Inception line of image classifiers, from the papers' tables to a classifier that one can trust.

    import inceptorch

    inceptorch.train("flowers/", out="runs/flowers")
    classifier = inceptorch.load("runs/flowers")
    classifier.predict("tulip.jpg", top=3)

Names are imported when first used, so that tables and command line answer without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inceptorch.bundle import Classifier, Prediction
    from inceptorch.costs import Cost, cost
    from inceptorch.errors import InceptorchError
    from inceptorch.evaluation import Evaluation, evaluate
    from inceptorch.nets import list_models, net
    from inceptorch.pixels import Pixels
    from inceptorch.recipes import Recipe
    from inceptorch.spec import Net
    from inceptorch.training import Result, resume, train
    from inceptorch.zoo import create_model, load

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Cost",
    "Evaluation",
    "InceptorchError",
    "Net",
    "Pixels",
    "Prediction",
    "Recipe",
    "Result",
    "cost",
    "create_model",
    "evaluate",
    "list_models",
    "load",
    "net",
    "resume",
    "train",
]

_HOME = {
    "bundle": ("Classifier", "Prediction"),
    "costs": ("Cost", "cost"),
    "errors": ("InceptorchError",),
    "evaluation": ("Evaluation", "evaluate"),
    "nets": ("list_models", "net"),
    "pixels": ("Pixels",),
    "recipes": ("Recipe",),
    "spec": ("Net",),
    "training": ("Result", "resume", "train"),
    "zoo": ("create_model", "load"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"inceptorch.{module}"), name)
    raise AttributeError(f"module 'inceptorch' has no attribute {name!r}")


def __dir__() -> list[str]:
    # Without this, tab completion lists only the names that were already used.
    return sorted({*globals(), *__all__})
