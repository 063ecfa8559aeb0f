"""inceptorch convert."""

from pathlib import Path

import pytest

from inceptorch.errors import BundleError
from tests.conftest import TINY
from tests.helpers import classifier_of, invoke


@pytest.mark.parametrize("option", ["--as", "--source"])
def test_the_source_can_be_named_under_two_options(option: str, tmp_path: Path) -> None:
    classifier_of(TINY).save(tmp_path / "bundle")
    result = invoke("convert", tmp_path / "bundle", "--out", tmp_path / "a.pth", option, "googlenet.bvlc")
    assert isinstance(result.exception, BundleError)
    assert "with a bundle, which knows both" in str(result.exception)
    assert not (tmp_path / "a.pth").exists()
