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
    from inceptorch.classifier import Classifier, ClassifierConfig, Metadata, TopClass
    from inceptorch.classifier.hub import create_model, load
    from inceptorch.errors import InceptorchError
    from inceptorch.evaluation import Evaluation, evaluate
    from inceptorch.images.preprocessing import Preprocessing
    from inceptorch.inference.options import predict
    from inceptorch.inference.predictor import Prediction, Predictor
    from inceptorch.networks.complexity import Complexity
    from inceptorch.networks.complexity import count_complexity as complexity
    from inceptorch.networks.network import NetworkSpec
    from inceptorch.networks.zoo import get_network, list_models
    from inceptorch.recipes import Recipe
    from inceptorch.training import Callback, Result, resume, train

    Cost, Net, cost, net = Complexity, NetworkSpec, complexity, get_network

__version__ = "0.1.0"

__all__ = [
    "Callback",
    "Classifier",
    "ClassifierConfig",
    "Complexity",
    "Evaluation",
    "InceptorchError",
    "Metadata",
    "NetworkSpec",
    "Prediction",
    "Predictor",
    "Preprocessing",
    "Recipe",
    "Result",
    "TopClass",
    "complexity",
    "create_model",
    "evaluate",
    "get_network",
    "list_models",
    "load",
    "predict",
    "resume",
    "train",
]

_HOME = {
    "classifier": ("Classifier", "ClassifierConfig", "Metadata", "TopClass"),
    "errors": ("InceptorchError",),
    "evaluation": ("Evaluation", "evaluate"),
    "networks.complexity": ("Complexity", "count_complexity"),
    "networks.network": ("NetworkSpec",),
    "networks.zoo": ("get_network", "list_models"),
    "images.preprocessing": ("Preprocessing",),
    "inference.options": ("predict",),
    "inference.predictor": ("Prediction", "Predictor"),
    "recipes": ("Recipe",),
    "training": ("Callback", "Result", "resume", "train"),
    "classifier.hub": ("create_model", "load"),
}
_RENAMED = {  # Cost, Net, cost and net are the names of version 0.1
    "complexity": "count_complexity",
    "cost": "count_complexity",
    "net": "get_network",
    "Cost": "Complexity",
    "Net": "NetworkSpec",
}


def __getattr__(name: str) -> Any:
    name = _RENAMED.get(name, name)
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"inceptorch.{module}"), name)
    raise AttributeError(f"module 'inceptorch' has no attribute {name!r}")


def __dir__() -> list[str]:
    # Without this, tab completion lists only the names that were already used.
    return sorted({*globals(), *__all__})
