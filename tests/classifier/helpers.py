"""Functions that several of these tests use."""

import json
from pathlib import Path


def edit(bundle: Path, **changes: object) -> None:
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps({**config, **changes}))
