"""The folder of a study."""

import json
from pathlib import Path

import pytest

from inceptorch.errors import RunError
from inceptorch.papers.studies.folder import SETTINGS, begin


def test_a_folder_is_begun_once_and_resumed_with_the_same_settings(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "study"
    settings = {"study": "one", "sizes": (1, 2), "arm: network": {"a": 1}}
    begin(out, settings)
    begin(out, settings)
    assert json.loads((out / SETTINGS).read_text()) == {**settings, "sizes": [1, 2]}
    with pytest.raises(RunError, match="was begun with study one, not two; name another --out"):
        begin(out, {**settings, "study": "two"})
    with pytest.raises(RunError, match="was begun with another network of arm"):
        begin(out, {**settings, "arm: network": {"a": 2}})
    with pytest.raises(RunError, match="was begun with more None, not 1"):
        begin(out, {**settings, "more": 1})


def test_what_is_no_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already holds files"):
        begin(tmp_path, {})
    (tmp_path / SETTINGS).write_text("[")
    with pytest.raises(RunError, match=r"settings.json is damaged"):
        begin(tmp_path, {})
    assert (tmp_path / SETTINGS).read_text() == "["
