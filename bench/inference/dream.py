"""Dreams of large photographs: seconds and peak memory of the command.

    python -m bench dream [STEPS]

`inceptorch dream` with BVLC's GoogLeNet, in a process of its own, of a photograph that is enlarged to the size first.
STEPS in each octave are its own by default; fewer are for a trial.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from bench.common import SHARED, Record, bvlc, command, measured_process, need

PHOTO, GUIDE = "38deb4830d12358f.png", "d47c9aabecda0e12.png"  # a valley, a daisy
CASES = (  # what, width, height, options
    ("1024x768", 1024, 768, ()),
    ("1024x768, guided", 1024, 768, ("--guide",)),
    ("2048x1536, by tiles", 2048, 1536, ("--size", "2048")),
    ("4000x3000, by tiles", 4000, 3000, ("--size", "4000")),
)


def run(steps: str = "10") -> Record:
    photos = need(SHARED / "photos")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = bvlc(folder)
        for what, width, height, options in CASES:
            image = Path(folder) / f"{width}.jpg"
            with Image.open(photos / PHOTO) as photo:
                photo.convert("RGB").resize((width, height), Image.Resampling.BICUBIC).save(image)
            words = [*options, photos / GUIDE] if "--guide" in options else options
            line = ["dream", image, "--model", model, "--steps", steps, "--out", f"{folder}/dream.png", *words]
            _, seconds, peak = measured_process([sys.executable, "-m", "inceptorch", *line])
            rows.append({"what": what, "seconds": seconds, "peak_mb": peak / 1e6})
    return {"n": {"steps": int(steps), "octaves": 4}, "rows": rows}


def render(record: Record) -> str:
    n = record["n"]
    parts = [f"## Dreams of large photographs\n\n`{command(record)}`\n"]
    parts.append(f"BVLC's GoogLeNet, {n['octaves']} octaves of {n['steps']} steps, from the shell to the file.\n")
    parts.append("| image | seconds | peak memory in MB |\n| --- | ---: | ---: |")
    parts += [f"| {row['what']} | {row['seconds']:.1f} | {row['peak_mb']:,.0f} |" for row in record["rows"]]
    return "\n".join(parts)
