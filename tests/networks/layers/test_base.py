"""What every kind of layer answers for: its written form."""

import json

import pytest
import yaml

from inceptorch.networks.serialization import from_plain, to_plain, to_yaml
from inceptorch.networks.zoo import NETS


@pytest.mark.parametrize("name", NETS)
def test_every_table_comes_back_from_yaml_and_json_as_it_was(name: str) -> None:
    assert from_plain(yaml.safe_load(to_yaml(NETS[name]))) == NETS[name]
    assert from_plain(json.loads(json.dumps(to_plain(NETS[name])))) == NETS[name]
