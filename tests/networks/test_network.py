"""A network as a table of named layers."""

from dataclasses import replace

import pytest
from torch import nn

from inceptorch.errors import TableError
from inceptorch.networks.layers import Conv, Dropout, GlobalAverage, Linear
from inceptorch.networks.network import RESERVED, stem, with_dropout
from inceptorch.networks.zoo import NETS
from tests.conftest import TINY


def test_the_stem_is_what_stands_before_the_first_module() -> None:
    names = ("googlenet", "googlenet_bn", "inception_v3", "inception_v4", "vgg16")
    assert {name: stem(NETS[name]) for name in names} == {
        "googlenet": 6, "googlenet_bn": 4, "inception_v3": 7, "inception_v4": 3, "vgg16": 0
    }  # fmt: skip


def test_dropout_of_the_main_head_is_set_or_put_before_the_classifier() -> None:
    drop, average = Dropout(0.125), GlobalAverage()
    heads = {name: with_dropout(NETS[name], 0.125).head for name in ("googlenet", "bn_inception", "vgg16")}
    assert heads == {
        "googlenet": {"avgpool": average, "dropout": drop},
        "bn_inception": {"avgpool": average, "dropout": drop},
        "vgg16": {"fc6": Linear(4096), "drop6": drop, "fc7": Linear(4096), "drop7": drop},
    }
    assert with_dropout(NETS["googlenet"], 0.125).aux_head == NETS["googlenet"].aux_head


def test_names_that_torch_uses_are_reserved() -> None:
    containers = (nn.Sequential(), nn.ModuleDict())
    taken = {name for each in containers for name in dir(each) if not name.startswith("_")}
    assert taken <= RESERVED
    for name in (*taken, "__class__", "_modules", "flatten_fc"):
        with pytest.raises(TableError, match=f"a layer cannot be called '{name}'; torch uses that name itself"):
            replace(TINY, body={**TINY.body, name: Conv(4)})
