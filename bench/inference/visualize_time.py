"""How long `inceptorch visualize` takes: one channel, a sheet of 16, the same beside photographs; and its memory.

python -m bench visualize_time [tiny]
"""

import sys
import tempfile

from bench.common import SHARED, Record, bvlc, command, measured_process, need

WAYS = {
    "one channel": ["4c:12"],
    "one class": ["--class", "beagle"],
    "a sheet of 16 channels": ["4c"],
    "a sheet of 16 channels beside 200 photographs": ["4c", "--data", str(SHARED / "photos")],
    "4 unlike images of a channel and of its other side": ["4c:12", "--diversity", "4", "--negative"],
}


def run(*words: str) -> Record:
    need(SHARED / "photos")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        for what, options in WAYS.items():
            steps = ["--steps", "2"] if "tiny" in words else []
            _, seconds, peak = measured_process(
                [sys.executable, "-m", "inceptorch", "visualize", bundle, *options, *steps, "--out", f"{folder}/a.png"]
            )
            rows.append({"what": what, "seconds": seconds, "peak_mib": peak / 1024**2})
    return {"n": {"runs": 1}, "rows": rows}


def render(record: Record) -> str:
    rows = ["| what | s, from the shell | peak memory, MiB |", "| --- | --- | --- |"]
    rows += [f"| {row['what']} | {row['seconds']:.0f} | {row['peak_mib']:.0f} |" for row in record["rows"]]
    table = "\n".join(rows)
    return f"""
## Measured: time and memory

`{command(record)}`, BVLC's GoogLeNet:

{table}
"""
