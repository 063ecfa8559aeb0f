"""Published weights as bundles: the tensors under our names, the pixels they expect, the names of their classes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from inceptorch.bundle import Classifier
from inceptorch.errors import BundleError
from inceptorch.files import reason, refuse_if_used
from inceptorch.model import Model
from inceptorch.nets import net
from inceptorch.pixels import Pixels
from inceptorch.weights import fit, read_caffe_googlenet

# The Caffe model zoo's own preprocessing: BGR, pixels 0..255 minus the mean pixel, nothing divided.
BVLC_PIXELS = Pixels(size=224, resize=256, channels="bgr", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))


def convert(file: Path, out: Path, labels: Path | None = None) -> Classifier:
    """Write the bundle of BVLC's GoogLeNet, from its .npz, to `out`. Raises BundleError or RunError."""
    refuse_if_used(out)
    if file.suffix != ".npz":
        raise BundleError(f"{file} is not an .npz file; convert reads the Caffe model zoo's GoogLeNet as .npz.")
    tensors = read_caffe_googlenet(file)
    names_file = labels or file.with_name("synset_words.txt")
    if not labels and not names_file.exists():
        raise BundleError(f"There is no {names_file} with the class names; name a file of them with --labels.")
    classes = read_labels(names_file)
    model = Model(net("googlenet"), num_classes=len(tensors["head.linear.bias"]))
    fit(model, tensors, file)
    if len(classes) != model.num_classes:
        raise BundleError(f"{names_file} names {len(classes)} classes; the weights have {model.num_classes}.")
    about = {"weights": "BVLC GoogLeNet of the Caffe model zoo", "licence": "released for unrestricted use"}
    classifier = Classifier(model, BVLC_PIXELS, classes, about)
    classifier.save(out)
    return classifier


def read_labels(path: Path) -> list[str]:
    """Class names, a line each; a synset number in front ("n01440764 tench") is dropped. Raises BundleError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BundleError(f"{path} could not be read: {reason(error)}.") from None
    except UnicodeDecodeError:
        raise BundleError(f"{path} is not a text file of class names.") from None
    names = [re.sub(r"^n\d{8}\s+", "", line).strip() for line in lines if line.strip()]
    # ImageNet has two cranes; those keep their synset number behind the name.
    often = Counter(names)
    synsets = [line.split()[0] for line in lines if line.strip()]
    return [f"{name} ({synset})" if often[name] > 1 else name for name, synset in zip(names, synsets, strict=True)]
