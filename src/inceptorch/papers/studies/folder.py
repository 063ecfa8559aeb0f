"""The folder of a study: begun once, and resumed with the very same settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inceptorch.errors import RunError
from inceptorch.utils.files import ensure_empty, make_folder, reading, write_text

SETTINGS = "settings.json"


def begin(out: Path, settings: dict[str, Any]) -> None:
    """Make `out`, or see that it was made for the very same. Raises RunError."""
    path = out / SETTINGS
    settings = json.loads(json.dumps(settings))  # as it will be read back
    if path.exists():
        _require_same(path, settings)
    else:
        ensure_empty(out)
    make_folder(out)
    write_text(path, json.dumps(settings, indent=2) + "\n")


def _require_same(path: Path, settings: dict[str, Any]) -> None:
    """Raise RunError, naming the first difference, if the folder was begun with other settings."""
    try:
        with reading(path, RunError):
            before = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise RunError(f"Cannot add to {path.parent}: {path.name} is damaged. Try another --out.") from None
    for key in {**before, **settings}:
        if before.get(key) != settings.get(key):
            what = f"{key} {before.get(key)}, not {settings.get(key)}"
            if key.endswith(": network"):
                what = f"another network of {key.removesuffix(': network')}"
            raise RunError(f"{path.parent} was begun with {what}; name another --out, or use the same settings.")
