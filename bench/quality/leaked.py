"""What near duplicates of training images among flowers12's test images are worth.

`inceptorch check` names them; a classifier on BVLC's frozen features is evaluated with and without them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.common import SHARED, Record, bvlc, need


def inceptorch(*words: str | Path) -> dict[str, Any]:
    """What a command answers; `check` ends with 1 where it finds errors."""
    command = [sys.executable, "-m", "inceptorch", *map(str, words), "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=False, stdout=subprocess.PIPE).stdout)
    return answer


def run() -> Record:
    data = need(SHARED / "flowers12")
    found = [one for one in inceptorch("check", data)["findings"] if one["kind"].endswith("duplicates-across-splits")]
    leaked = sorted({file for one in found for file in one["files"] if "/test/" in file})
    with tempfile.TemporaryDirectory() as temporary:
        run, listed = Path(temporary) / "run", Path(temporary) / "leaked.txt"
        inceptorch("train", data, "--weights", bvlc(temporary), "--out", run)
        listed.write_text("\n".join(leaked))
        evaluated = {
            "all": inceptorch("eval", run, data),
            "without": inceptorch("eval", run, data, "--exclude", listed),
        }
    names = ("n", "top1", "intervals")
    record = {what: {name: one[name] for name in names} for what, one in evaluated.items()}
    return {"n": {"images": record["all"]["n"]}, "leaked": len(leaked), **record}


def render(record: Record) -> str:
    kept, whole = record["without"], record["all"]
    return (
        f"`inceptorch check` finds {record['leaked']} near duplicates of training images among flowers12's test "
        "images. "
        f"Without them, `--recipe head` has {kept['top1']:.2%} of {kept['n']} images correct, and {whole['top1']:.2%} "
        "of all."
    )
