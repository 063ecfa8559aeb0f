"""Inception-v3's grids."""

from importlib.resources import files

import pytest
import yaml

from inceptorch.networks.complexity import count_complexity

PAPER = yaml.safe_load((files("inceptorch.networks.zoo") / "papers" / "googlenet.yaml").read_text(encoding="utf-8"))


TABLE_1 = [dict(zip(PAPER["tables"][0]["columns"], row, strict=True)) for row in PAPER["tables"][0]["rows"]]


@pytest.mark.parametrize("name", ["inception_v3", "inception_v3_151", "inception_v3_79"])
def test_low_resolution_stems_lead_to_the_same_grids(name: str) -> None:
    outputs = {row.name: row.output for row in count_complexity(name).layers}
    assert outputs["5d"][0] == 288
    assert outputs["6e"] == (768, 17, 17)
    assert outputs["7c"] == (2048, 8, 8)
