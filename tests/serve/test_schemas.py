import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.helpers import Server


def test_an_error_is_described_as_one_sentence(server: Server) -> None:
    schemas = server.request("/openapi.json").json["components"]["schemas"]
    assert schemas["Error"]["properties"] == {
        "error": {"type": "string", "title": "Error", "description": "One sentence."}
    }


@pytest.mark.slow
def test_openapi_describes_every_operation(server: Server, tmp_path: Path) -> None:
    """Every operation, with what fits its description and what does not, by schemathesis."""
    pytest.importorskip("schemathesis")
    # No schema can say that a tensor has as many numbers as its shape says, so some that fit it are refused.
    (tmp_path / "config.toml").write_text(
        '[[operations]]\ninclude-path = "/v2/models/{name}/infer"\nchecks.positive_data_acceptance.enabled = false\n'
    )
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml", "run"]
    options = ["--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/openapi.json", *options],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
