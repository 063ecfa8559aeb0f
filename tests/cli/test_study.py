"""inceptorch study."""

import json

from tests.helpers import invoke


def test_studies_are_listed() -> None:
    names = [one["name"] for one in json.loads(invoke("study", "--json").stdout)]
    assert "label-smoothing" in names
    assert "detection-2014" in names
    assert all(name in invoke("study").stdout for name in names)


def test_what_a_study_lacks_is_a_sentence() -> None:
    assert "Name them with --data DATA" in str(invoke("study", "label-smoothing").exception)
    result = invoke("study", "label-smoothing", "--data", "x", "--epochs", 2, "--set", "epochs=3")
    assert "Give --epochs or --set epochs=" in str(result.exception)


def test_a_study_takes_its_own_options_alone() -> None:
    words = ["study", "label-smoothing", "--data", "x"]
    assert "Cannot use --images with label-smoothing" in str(invoke(*words, "--images", 3).exception)
    assert "Cannot use --proposals with" in str(invoke(*words, "--proposals", "grid").exception)
    words = ["study", "detection-2014", "--data", "x"]
    assert "Cannot use --seeds with detection-2014" in str(invoke(*words, "--seeds", 3).exception)
    assert "Cannot use --set with detection-2014" in str(invoke(*words, "--set", "lr=1").exception)
    assert "did you mean 'detection-2014'" in str(invoke("study", "detection", "--data", "x").exception)
    assert "Cannot run detection-2014 without images" in str(invoke("study", "detection-2014").exception)
