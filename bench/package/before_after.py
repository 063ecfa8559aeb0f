"""How fast an earlier revision and the working tree are, alternately in one run.

    python -m bench before_after [REVISION [ROUNDS [MEASURE...]]]

The revision (by default d08aac8) is checked out as a git worktree in a temporary folder. Both trees are driven by the
command line alone, with the same interpreter, as modules and recipe keys differ between them. A round measures the
earlier tree, the working tree, and the earlier tree again: `ratio` is the median over the rounds of its mean time over
the working tree's (above 1: faster now), `noise` the largest deviation from 1 of the earlier tree's second time over
its first.
"""

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image

from bench.common import ROOT, SHARED, Record, command, metrics, need
from synthetic import scenes

BEFORE, ROUNDS = "d08aac8", 5
LARGE, SMALL, REQUESTS = (128, 400), (512, 32), 100  # how many images of which side; requests to the server


@dataclass(frozen=True)
class Tree:
    """A checkout, and a folder for what its commands write."""

    root: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return kept | {"PYTHONPATH": str(self.root / "src"), "INCEPTORCH_HOME": str(self.folder / "home")}

    def run(self, *words: object) -> str:
        """What a command prints; its standard error is shown where it fails."""
        line = [sys.executable, "-m", "inceptorch", *map(str, words)]
        done = subprocess.run(line, env=self.environment, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f"Cannot measure {self.root}: {' '.join(line[2:])} ended with {done.returncode}: {done.stderr[-500:]}"
            )
        return done.stdout

    def prepare(self) -> None:
        """A bundle and an exported file, made by its own commands."""
        npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
        self.folder.mkdir()
        self.run("convert", npz, "--out", self.folder / "googlenet")
        self.run("export", self.folder / "googlenet", "--out", self.folder / "googlenet.onnx")


def wall(tree: Tree, *words: object) -> float:
    began = time.perf_counter()
    tree.run(*words)
    return time.perf_counter() - began


def exported(tree: Tree) -> tuple[str, Path]:
    return "predict", tree.folder / "googlenet.onnx"


def epochs(tree: Tree, data: Path, *words: object) -> float:
    """Seconds of all epochs but the first, as metrics.csv says, with each run's start left out."""
    with tempfile.TemporaryDirectory(dir=tree.folder) as folder:
        tree.run("train", data, "--recipe", "scratch", "--epochs", 3, *words, "--out", f"{folder}/run")
        rows = metrics(f"{folder}/run")
    return float(rows[-1]["seconds"]) - float(rows[0]["seconds"])


def server(tree: Tree, file: Path) -> float:
    """Seconds of requests to a server, one after the other, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "inceptorch", "serve", tree.folder / "googlenet.onnx", "--port", str(port)]
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + file.read_bytes()
    form = {"Content-Type": "multipart/form-data; boundary=edge"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body + b"\r\n--edge--\r\n", form)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, env=tree.environment, cwd=tree.folder, **quiet) as child:  # type: ignore[call-overload]
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz", child)
            urllib.request.urlopen(asked).read()
            began = time.perf_counter()
            for _ in range(REQUESTS):
                urllib.request.urlopen(asked).read()
            return time.perf_counter() - began
        finally:
            child.send_signal(signal.SIGTERM)


def wait_for(url: str, child: "subprocess.Popen[bytes]") -> None:
    while child.poll() is None:
        try:
            urllib.request.urlopen(url).read()
            return
        except urllib.error.URLError:
            time.sleep(0.05)
    sys.exit(f"Cannot measure the server: it ended with {child.returncode} before {url} answered.")


def measures(data: Path, small: Path) -> dict[str, Callable[[Tree], float]]:
    """Seconds of each thing, by name; fewer are better."""
    image = next(data.rglob("*.jpg"))
    return {
        "startup": lambda tree: wall(tree, "--help") + wall(tree, "nets", "googlenet"),
        "first_answer": lambda tree: wall(tree, *exported(tree), image),
        "steps": lambda tree: epochs(tree, data, "--net", "googlenet_bn", "--workers", 0),
        "overhead": lambda tree: epochs(tree, small, "--net", "googlenet_tiny", "--workers", 0),
        "input": lambda tree: epochs(tree, data, "--net", "googlenet_tiny", "--workers", 0),
        "folder": lambda tree: wall(tree, *exported(tree), data, "--json"),
        "engine_torch": lambda tree: wall(tree, "predict", tree.folder / "googlenet", data, "--json"),
        "engine_onnxruntime": lambda tree: wall(tree, *exported(tree), data, "--engine", "onnxruntime", "--json"),
        "engine_openvino": lambda tree: wall(tree, *exported(tree), data, "--engine", "openvino", "--json"),
        "server": lambda tree: server(tree, image),
    }


@contextmanager
def checkout(revision: str, folder: Path) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def run(revision: str = BEFORE, rounds: str = str(ROUNDS), *only: str) -> Record:
    with tempfile.TemporaryDirectory() as temporary, checkout(revision, Path(temporary) / "before") as root:
        folder = Path(temporary)
        before, after = Tree(root, folder / "a"), Tree(ROOT, folder / "b")
        for tree in (before, after):
            tree.prepare()
        data, small = write_images(folder / "large", *LARGE), write_images(folder / "small", *SMALL)
        chosen = {name: work for name, work in measures(data, small).items() if not only or name in only}
        rows = [{"what": name, **compared(name, work, before, after, int(rounds))} for name, work in chosen.items()]
    return {"n": {"rounds": int(rounds)}, "before": revision, "rows": rows}


def compared(name: str, work: Callable[[Tree], float], before: Tree, after: Tree, rounds: int) -> Record:
    times = []
    for number in range(rounds + 1):
        first, now, second = work(before), work(after), work(before)
        if number:  # the first round fills caches
            times.append((first, now, second))
    ratio = median((first + second) / 2 / now for first, now, second in times)
    noise = max(max(second / first, first / second) - 1 for first, _, second in times) if times else math.nan
    print(f"{name}: {ratio:.3f} with noise {noise:.1%}", file=sys.stderr, flush=True)
    old = [time for first, _, second in times for time in (first, second)]
    new = [now for _, now, _ in times]
    return {"before": median(old), "after": median(new), "ratio": ratio, "noise": noise, "rounds": times}


def write_images(root: Path, count: int, side: int) -> Path:
    """A folder of so many JPEG images of two classes, a quarter of them in the val part."""
    for number, image in enumerate(scenes(count, side, seed=0)):
        path = root / ("train", "val")[number % 4 == 3] / "ab"[number // 4 % 2] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=90)
    return root


def render(record: Record) -> str:
    parts = [f"## {record['before']} against {record.get('commit')}\n\n`{command(record)}`\n"]
    parts.append("| what | seconds before | seconds after | before / after | noise |\n| --- |" + " ---: |" * 4)
    for row in record["rows"]:
        parts.append(
            f"| {row['what']} | {row['before']:.3g} | {row['after']:.3g} | {row['ratio']:.2f} | {row['noise']:.0%} |"
        )
    return "\n".join(parts)
