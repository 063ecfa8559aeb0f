"""inceptorch: the Inception line of image classifiers, from the papers' tables to a classifier that one can trust.

    import inceptorch

    inceptorch.train("flowers/", out="runs/flowers")
    classifier = inceptorch.load("runs/flowers")
    classifier.predict("tulip.jpg", top=3)

The public names are listed in `__init__.pyi` and imported when first used, so that tables and the command line answer
without loading torch.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
