"""Detection as in 2014 on blood cells: proposals, context, box regression, one to six networks.

    python -m bench detection_2014

It is `inceptorch study detection-2014` with BVLC's weights, and needs OpenCV: pip install 'inceptorch[proposals]'.
The drawing is docs/study_detection-2014.png.
"""

import json
import subprocess
import sys
import tempfile
import time

from bench.common import DOCS, SHARED, Record, bvlc, command, need
from inceptorch.papers.studies.detection_2014.page import draw, outcome
from inceptorch.utils.progress import format_duration

NAME = "detection-2014"


def run(*options: str) -> Record:
    data = need(SHARED / "bccd")
    with tempfile.TemporaryDirectory() as folder:
        words = ["study", NAME, "--data", data, "--weights", bvlc(folder), "--out", f"{folder}/study", "--json"]
        began = time.monotonic()
        whole = [sys.executable, "-m", "inceptorch", *map(str, words), *options]
        done = subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True)
        seconds = round(time.monotonic() - began)
    results = json.loads(done.stdout) | {"weights": "googlenet.bvlc"}
    draw(results, DOCS / f"study_{NAME}.png")
    counts = {name.replace("_", " "): results[name] for name in ("train_images", "test_images")}
    return {"n": counts, "seconds": seconds, "results": results}


def render(record: Record) -> str:
    shown = outcome(record["results"], f"study_{NAME}.png")
    return f"## {NAME}\n\n`{command(record)}`, {format_duration(record['seconds'])}\n\n{shown}"
