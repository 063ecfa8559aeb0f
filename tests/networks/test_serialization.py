"""Tables as YAML: there and back, networks of one's own, and broken ones with a sentence each."""

from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, Fork, Pool, Residual
from inceptorch.networks.serialization import read_table
from inceptorch.networks.zoo import NETS, get_network, list_models
from tests.networks.helpers import OWN


def test_a_network_of_ones_own_reads_as_it_is_written(own: Path) -> None:
    net = get_network(str(own))
    assert net.body["add"] == Residual((Conv(4), Conv(16, norm=False, relu=False)), 0.2)
    mix = Fork(Conv(4), (Conv(4), Conv(8, (1, 3)), Conv(8, (3, 1))), (Pool("max"), Conv(4)))
    assert net.body["mix"] == mix
    assert count_complexity(str(own)).params == sum(p.numel() for p in Model(net).parameters())


def test_a_bundle_carries_its_table(own: Path, tmp_path: Path) -> None:
    model = Model(get_network(str(own)), 3)
    Classifier.of(model, default_preprocessing(32), ["a", "b", "c"]).save(tmp_path / "bundle")
    own.unlink()
    again = inceptorch.load(tmp_path / "bundle").model
    x = torch.randn(2, 3, 32, 32)
    assert again.net == model.net
    torch.testing.assert_close(again(x), model.eval()(x))


def test_list_models_takes_a_pattern() -> None:
    assert list_models("inception_v4*") == ["inception_v4", "inception_v4_small"]
    assert list_models() == list(NETS)


# What is replaced in the table above, by what, and what is said.
BROKEN = {
    "negative width": ("{conv: 8, kernel: 3, stride: 2}", "{conv: -8}", "body, layer conv1: a width of -8"),
    "no width": ("{conv: 8, kernel: 3, stride: 2}", "{conv: }", "body, layer conv1: conv has no 'out'"),
    "stride of 0": ("stride: 2}\n  mix", "stride: 0}\n  mix", "body, layer conv1: a stride of 0"),
    "even window": ("kernel: 3, stride: 2}", "kernel: 4, stride: 2}", "layer conv1: a 4x4 window has no middle"),
    "window of three sides": ("[1, 3]", "[1, 3, 3]", "layer mix: conv's kernel is [1, 3, 3]"),
    "half a width": ("{conv: 8, kernel: 3, stride: 2}", "{conv: 8.5}", "layer conv1: conv's out is 8.5"),
    "unknown layer": ("{pool: max}", "{pol: max}", "layer mix: there is no layer 'pol': did you mean 'pool'"),
    "unknown pool": ("{pool: max}", "{pool: median}", "layer mix: pool's kind is 'median'; it must be one of max, avg"),
    "unknown value": ("stride: 2}\n  mix", "strid: 2}\n  mix", "layer conv1: conv has no value 'strid'"),
    "unknown padding": ("pad: ceil", "pad: round", "layer pool: pool's pad is 'round'"),
    "branches of different size": (
        "- {conv: 4}\n",
        "- {conv: 4, stride: 2}\n",
        "layer mix: branches give maps of different sizes",
    ),
    "sum of different widths": (
        "{conv: 16, norm",
        "{conv: 12, norm",
        "layer add: 16x16x12 cannot be added to the 16x16x16",
    ),
    "unknown layer in aux": ("aux: [mix]", "aux: [mixed]", "on layer 'mixed', but the body has no such layer"),
    "aux without a head": ("aux_head:", "head_of_aux:", "has no value 'head_of_aux'"),
    "no head for aux": (
        OWN[OWN.index("aux_head:") :],
        "",
        "layers mix carry auxiliary heads but aux_head is not given",
    ),
    "duplicate layer": ("  add:", "  mix:", "'mix' is set twice, the second time in line"),
    "layer of head in body": ("  dropout: {", "  conv1: {", "the head has a layer 'conv1', and so has the body"),
    "layer called linear": ("  conv1: {", "  linear: {", "layer 'linear' is the layer to the classes"),
    "10 GB layer": (
        "{conv: 8, kernel: 3, stride: 2}",
        "{conv: 100000000, kernel: 3, stride: 2}",
        "layer conv1: its weights would take 11.6 GB",
    ),
    "dropout of everything": ("{dropout: 0.2}", "{dropout: 1.0}", "layer dropout: a dropout rate is from 0 to below 1"),
    "empty fork": (
        OWN[OWN.index("      - {conv: 4}\n") : OWN.index("\n  add:")],
        "      []",
        "layer mix: a fork has no branches",
    ),
    "no body": ("body:", "bodi:", "he network has no 'body'|has no value 'bodi'"),
    "too small an image": ("size: 32", "size: 1", "layer mix|too small|does not fit"),
    "no yaml": ("fork:", "fork: [", "is not YAML"),
    "groups that do not divide": (
        "{conv: 8, kernel: 3, stride: 2}",
        "{conv: 8, groups: 2}",
        "layer conv1: 3 channels cannot be divided into 2 groups",
    ),
    "batch norm without eps": ("{eps: 0.001}", "{eps: 0}", "batch normalization needs eps above 0"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_table_gets_a_sentence(fault: str, own: Path) -> None:
    whole, broken, sentence = BROKEN[fault]
    assert OWN.count(whole) == 1
    own.write_text(OWN.replace(whole, broken))
    with pytest.raises(InceptorchError) as caught:
        Model(get_network(str(own)), aux=True)
    said = str(caught.value)
    assert any(part in said for part in sentence.split("|")), said
    assert "\n" not in said


def test_keys_are_words_as_they_are_written(own: Path) -> None:
    own.write_text("name: digits\nsize: 8\nbody:\n  010: {conv: 1}\n  1_1: {conv: 2}\n  3: {kernel: 3, conv: 3}\n")
    assert list(get_network(str(own)).body) == ["010", "1_1", "3"]


def test_layers_within_layers_without_end_are_refused(tmp_path: Path) -> None:
    text = "name: deep\nsize: 8\nbody: {a: " + "[" * 100 + "{conv: 1}" + "]" * 100 + "}\n"
    (tmp_path / "deep.yaml").write_text(text)
    with pytest.raises(TableError, match="layer a: .*more than 20 deep"):
        read_table(tmp_path / "deep.yaml")
    with pytest.raises(TableError, match=r"Cannot read .*nowhere.yaml: no such file"):
        get_network("nowhere.yaml")
