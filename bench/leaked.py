"""What near duplicates of training pictures among flowers12's test pictures are worth: python -m bench.leaked

`inceptorch check` names them; a classifier on BVLC's frozen features is judged with and without them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.common import SHARED, bvlc, need, save


def inceptorch(*words: str | Path) -> dict[str, Any]:
    """What a command answers; `check` ends with 1 where it finds errors."""
    command = [sys.executable, "-m", "inceptorch", *map(str, words), "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=False, stdout=subprocess.PIPE).stdout)
    return answer


def main() -> None:
    data = need(SHARED / "flowers12")
    found = [one for one in inceptorch("check", data)["findings"] if one["kind"].endswith("duplicates-across-splits")]
    leaked = sorted({file for one in found for file in one["files"] if "/test/" in file})
    with tempfile.TemporaryDirectory() as temporary:
        run, listed = Path(temporary) / "run", Path(temporary) / "leaked.txt"
        inceptorch("train", data, "--weights", bvlc(temporary), "--out", run)
        listed.write_text("\n".join(leaked))
        judged = {
            "all": inceptorch("eval", run, data),
            "without": inceptorch("eval", run, data, "--without", listed),
        }
    names = ("n", "top1", "intervals")
    record = {what: {name: one[name] for name in names} for what, one in judged.items()}
    save("leaked", {"command": "python -m bench.leaked", "leaked": len(leaked), **record})


if __name__ == "__main__":
    main()
