"""inceptorch study."""

import json

from tests.helpers import invoke


def test_studies_are_listed() -> None:
    names = [one["name"] for one in json.loads(invoke("study", "--json").stdout)]
    assert "label-smoothing" in names
    assert all(name in invoke("study").stdout for name in names)


def test_what_a_study_lacks_is_a_sentence() -> None:
    assert "Name them with --data DATA" in str(invoke("study", "label-smoothing").exception)
    result = invoke("study", "label-smoothing", "--data", "x", "--epochs", 2, "--set", "epochs=3")
    assert "Give --epochs or --set epochs=" in str(result.exception)
