"""inceptorch weights."""

import json
import re
from pathlib import Path

from inceptorch.classifier.published import get_weights, published
from tests.helpers import invoke


def test_weights_lists_them_all(home: Path) -> None:
    path = get_weights("googlenet.bvlc").path(home)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something")
    rows = {line.split()[0]: re.split(r"\s{2,}", line) for line in invoke("weights").stdout.splitlines()}
    assert set(rows) == {"weights", *published()}
    assert rows["googlenet.bvlc"][1:] == ["googlenet", "68.7", "88.9", "unrestricted", "54 MB", "not verified yet"]
    assert rows["inception_v3_fid.pytorch_fid"][1:] == ["inception_v3_fid", "-", "-", "not stated", "96 MB", "no"]
    entries = {each["name"]: each for each in json.loads(invoke("weights", "--json").stdout)}
    assert list(entries) == list(published())
    assert (entries["googlenet.bvlc"]["path"], entries["googlenet.bvlc"]["cached"]) == (str(path), "not verified yet")
    assert entries["googlenet.bvlc"]["preprocessing"]["channels"] == "bgr"


def test_weights_says_everything_about_one(home: Path) -> None:
    one = get_weights("googlenet.bvlc")
    said = invoke("weights", one.name).stdout
    assert one.hash is not None
    for fact in (one.url, one.hash.digits, one.license, one.source, "center crop 224", "68.7%", str(one.path(home))):
        assert fact in said
    entry = json.loads(invoke("weights", one.name, "--json").stdout)
    assert (entry["hash"]["whole"], entry["file"], entry["cached"]) == (True, "bvlc_googlenet.caffemodel", "no")
    assert "none known" in invoke("weights", "inception_v3.tf_in1k").stdout
