"""DATA as users write it."""

from pathlib import Path

import pytest

from inceptorch.data.locator import absolute, lies_inside, short_name


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [absolute(data) for data in ("flowers", "torchvision:MNIST", "torchvision:MNIST:sets")] == [
        f"{tmp_path}/flowers",
        "torchvision:MNIST",
        f"torchvision:MNIST:{tmp_path}/sets",
    ]
    names = [short_name(data) for data in ("flowers/", "flowers.zip", "torchvision:MNIST:sets", ".")]
    assert names == ["flowers", "flowers", "MNIST", tmp_path.name]
    run = Path("flowers/run")
    assert [lies_inside(run, data) for data in ("flowers", "other", "torchvision:MNIST:flowers")] == [True, False, True]


def test_addresses_of_urls() -> None:
    url = "https://host:80/flowers/train-{000000..000099}.tar"
    assert absolute(url) == url
    assert [short_name(data) for data in (url, "s3://bucket/train-000000.tar")] == ["flowers", "bucket"]
    assert not lies_inside(Path("run"), url)
