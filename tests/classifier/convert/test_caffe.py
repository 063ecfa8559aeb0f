"""Caffe's files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import inceptorch
from inceptorch.classifier.convert import import_weights
from inceptorch.classifier.convert.caffe import net_parameter
from inceptorch.classifier.convert.layer_names import NAMES, tensor_names
from inceptorch.errors import BundleError
from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS
from tests.classifier.convert.helpers import randomised


def caffemodel(
    path: Path, layers: dict[str, list[Tensor]], *, old: bool = False, kinds: dict[str, str] | None = None
) -> Path:
    """A file of Caffe's weights; `old` as Caffe wrote it before 2015, with four legacy sides for every blob."""
    net = net_parameter()(name="written by a test")
    for name, blobs in layers.items():
        layer = (
            net.layers.add(name=name) if old else net.layer.add(name=name, type=(kinds or {}).get(name, "Convolution"))
        )
        for tensor in blobs:
            blob = layer.blobs.add(data=tensor.flatten().tolist())
            if old:
                sides = (1,) * (4 - tensor.ndim) + tuple(tensor.shape)
                blob.num, blob.channels, blob.height, blob.width = sides
            else:
                blob.shape.dim.extend(tensor.shape)
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize("old", [False, True], ids=["layer", "layers"])
def test_a_caffemodel_makes_the_same_bundle_as_the_npz(shared: Path, tmp_path: Path, old: bool) -> None:
    npz = shared / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz"
    words = npz.with_name("synset_words.txt")
    with np.load(npz) as arrays:
        layers = {
            name.removesuffix(".weight"): [torch.from_numpy(arrays[name]), torch.from_numpy(arrays[name[:-6] + "bias"])]
            for name in arrays.files
            if name.endswith(".weight")
        }
    file = caffemodel(tmp_path / "bvlc_googlenet.caffemodel", layers, old=old)
    import_weights(file, tmp_path / "caffe", labels=words)
    import_weights(npz, tmp_path / "npz")
    for part in ("model.safetensors", "config.json", "README.md"):
        assert (tmp_path / "caffe" / part).read_bytes() == (tmp_path / "npz" / part).read_bytes()


@pytest.mark.parametrize("kind", ["BN", "BatchNorm"])
def test_bn_inception_from_caffe(tmp_path: Path, labels: Path, kind: str) -> None:
    model = randomised(Model(NETS["bn_inception_caffe"], 10)).eval()
    state = model.state_dict()
    layers: dict[str, list[Tensor]] = {}
    kinds: dict[str, str] = {}
    theirs = tensor_names(model, NAMES["caffe_bn_inception"])  # type: ignore[arg-type]
    for mine in state:
        if mine.endswith("running_mean"):
            layer, _, _ = theirs[mine].rpartition(".")
            scale, shift, mean, variance = (
                state[mine.replace("running_mean", part)] for part in ("weight", "bias", "running_mean", "running_var")
            )
            kinds[layer] = kind
            if kind == "BN":
                layers[layer] = [scale, shift, mean, variance]
            else:
                layers[layer] = [mean * 4, variance * 4, torch.tensor([4.0])]
                layers[layer.removesuffix("_bn") + "_scale"] = [scale, shift]
                kinds[layer.removesuffix("_bn") + "_scale"] = "Scale"
        elif mine.endswith(".weight") and ".bn." not in mine:
            layer, _, _ = theirs[mine].rpartition(".")
            layers[layer] = [state[mine], state[mine.replace("weight", "bias")]]
    file = caffemodel(tmp_path / "bn.caffemodel", layers, kinds=kinds)
    import_weights(file, tmp_path / "bundle", labels=labels)
    again = inceptorch.load(tmp_path / "bundle")
    assert again.preprocessing.channels == "bgr"
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(again.model(x), model(x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"\x0a\x03abc", b"\xff" * 40], ids=["empty", "no layers", "noise"])
def test_damaged_caffemodels_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(content)
    with pytest.raises(BundleError, match="not a .caffemodel"):
        import_weights(tmp_path / "w.caffemodel", tmp_path / "out")
