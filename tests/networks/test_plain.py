"""Values that people write in tables."""

from pathlib import Path

import pytest

from inceptorch.errors import TableError
from inceptorch.models.module import Model
from inceptorch.networks.zoo import get_network
from tests.networks.helpers import OWN


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (OWN.replace("conv: 8,", "conv: 1" + "0" * 400 + ","), "layer conv1: conv's out is 1000"),
        (OWN.replace("conv: 8,", "conv: 1" + "0" * 5000 + ","), "is not YAML"),
        (OWN.replace("  conv1:", "  ? [a, b]\n  :"), "cannot be used: the key in line 6 is not a word"),
        (OWN.replace("- {conv: 4}\n", "- &a {conv: 4}\n      - *a\n", 1), "refers to another part of itself"),
        (OWN.replace("{conv: 8, kernel", "{conv: 8, out: 9, kernel"), "layer conv1: conv has its out twice"),
        (OWN.replace("  conv1:", "  forward:"), "a layer cannot be called 'forward'"),
        (OWN.replace("  mix:", "  keys:").replace("[mix]", "[keys]"), "a layer cannot be called 'keys'"),
        ("\ufeff".encode("utf-16").decode("latin-1") + OWN, "not YAML|no value"),
        ("name: wide\nsize: 8\nbody: {" + ", ".join(f"a{n}: {{conv: 30000}}" for n in range(40)) + "}", "140 GB"),
        ("name: yes\nsize: 8\nbody: {a: {conv: 1}}", "name is True; it must be a word; write it in quotes"),
        (OWN.replace("avgpool: global_average", "avgpool: {global_average: 3}"), "global_average has no values"),
        (OWN.replace("kernel: [1, 3]", "kernel: wide"), "it must be a whole number or two, [height, width]"),
        ("- 1", "a network is written as values by name"),
        ("", "a network is written as values by name"),
    ],
)
def test_tables_that_would_do_harm(text: str, sentence: str, own: Path) -> None:
    own.write_text(text)
    with pytest.raises(TableError) as caught:
        Model(get_network(str(own)), aux=True)
    assert any(part in str(caught.value) for part in sentence.split("|")), str(caught.value)
    assert len(str(caught.value)) < 500
