"""inceptorch nets."""

import json

from tests.helpers import invoke


def test_nets_json() -> None:
    nets = {one["name"]: one for one in json.loads(invoke("nets", "--json").stdout)}
    assert nets["googlenet"] == {
        "name": "googlenet", "source": "arXiv:1409.4842 Table 1", "size": 224, "params": 6998552, "macs": 1582671872
    }  # fmt: skip
    one = json.loads(invoke("nets", "googlenet", "--json").stdout)
    assert set(one) == {"name", "source", "size", "params", "macs", "params_with_aux", "rows"}
    assert one["params_with_aux"] == 13378280
    assert {"name": "4a", "output": [512, 14, 14], "params": 376176, "macs": 73608192} in one["rows"]


def test_nets_prints_a_table() -> None:
    lines = invoke("nets", "googlenet").stdout.splitlines()
    assert any(line.split() == ["4a", "14x14x512", "376,176", "73,608,192"] for line in lines)
    assert any(line.split() == ["total", "6,998,552", "1,582,671,872"] for line in lines)
