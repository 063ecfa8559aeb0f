"""Bundles as other libraries' files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inceptorch.classifier import Classifier
from inceptorch.classifier.convert import export_weights, import_weights
from inceptorch.classifier.convert.layer_names import NAMES, tensor_names
from inceptorch.errors import BundleError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv
from inceptorch.networks.zoo import NETS
from tests.helpers import detector_of


def test_a_table_of_ones_own_is_not_exported_for_its_name(tmp_path: Path) -> None:
    net = replace(NETS["inception_v4"], body={"conv": Conv(8, 3)}, size=32)
    Classifier.of(Model(net, 2), default_preprocessing(32), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="a table of one's own, which only has the name inception_v4"):
        export_weights(tmp_path / "bundle", tmp_path / "x.pth")


def test_a_pth_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    Classifier.of(Model(NETS["inception_v4"], 2), default_preprocessing(299), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(RunError, match=r"Cannot write .*none/x.pth"):
        export_weights(tmp_path / "bundle", tmp_path / "none" / "x.pth")
    (tmp_path / "taken.pth").touch()
    with pytest.raises(BundleError, match="exists already. Try another --out"):
        export_weights(tmp_path / "bundle", tmp_path / "taken.pth")


def test_a_network_that_no_library_has_is_not_exported(tmp_path: Path, labels: Path) -> None:
    state = {
        theirs: tensor
        for model in [Model(NETS["googlenet"], 10)]
        for mine, theirs in tensor_names(model, NAMES["caffe_googlenet"]).items()
        for tensor in [model.state_dict()[mine]]
    }
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    import_weights(tmp_path / "w.npz", tmp_path / "bundle", labels=labels)
    with pytest.raises(BundleError, match="holds googlenet, which no other library has"):
        export_weights(tmp_path / "bundle", tmp_path / "x.pth")


def test_a_detector_is_not_exported_for_its_body(tmp_path: Path) -> None:
    detector_of(NETS["googlenet_tv"]).save(tmp_path / "cells")
    with pytest.raises(BundleError, match="it is a detector. Try inceptorch export"):
        export_weights(tmp_path / "cells", tmp_path / "x.pth")
