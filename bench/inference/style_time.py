"""How long style transfer takes, against a plain page of the method in pixels.

Fresh processes in alternating rounds: `inceptorch style`, and style_time_plain.py, which optimizes pixels from the
content with Adam at the full size. Both have the same network, images, size and threads, and as many steps at the full
size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from PIL import Image

from bench.common import SHARED, Record, bvlc, command, measured_process, need
from bench.quality.style import CONTENTS, STYLES

PLAIN = Path(__file__).with_name("style_time_plain.py")


def run(size: str = "512", steps: str = "150", rounds: str = "3") -> Record:
    photos = sorted(need(SHARED / "photos").glob("*.png"))
    example = photos[STYLES["graffiti"]]
    environment = os.environ | {"OMP_NUM_THREADS": str(os.cpu_count())}
    with tempfile.TemporaryDirectory() as folder:
        model, content = bvlc(folder), Path(folder, "content.png")
        Image.open(photos[CONTENTS["town hall"]]).resize((512, 384)).save(content)  # the proportions of a photograph
        out = ["--size", size, "--steps", steps, "--out", f"{folder}/out.png"]
        commands: dict[str, list[str | Path]] = {
            "inceptorch style": [sys.executable, "-m", "inceptorch", "style", content, example, "--model", model, *out],
            "plain page": [sys.executable, PLAIN, model, content, example, size, steps, f"{folder}/plain.png"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        memory: dict[str, float] = {}
        for _ in range(int(rounds)):
            for name, words in commands.items():
                _, took, peak = measured_process(words, stderr=subprocess.DEVNULL, env=environment)
                seconds[name].append(took)
                memory[name] = max(memory.get(name, 0.0), peak / 1e9)
    rows = [{"what": name, "seconds": median(found), "peak_gb": memory[name]} for name, found in seconds.items()]
    return {"n": {"rounds": int(rounds)}, "size": int(size), "steps": int(steps), "rows": rows}


def render(record: Record) -> str:
    lines = [
        f"`{command(record)}`: {record['size']} pixels, {record['steps']} steps at each scale, whole processes.\n",
        "| program | s, median | peak memory, GB |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {row['what']} | {row['seconds']:.0f} | {row['peak_gb']:.2f} |" for row in record["rows"]]
    return "\n".join(lines)
