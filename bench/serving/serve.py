"""The server under load, and under broken image files.

BVLC's GoogLeNet, exported, in a process of its own; the load comes from this one, over raw sockets: photographs as
JPEG, one a request. First what the engine does alone, with as many threads and images at once as it wants; then
the server with 64 connections that ask without pause; then requests that come at random moments, whether or not
earlier ones are answered: half as many as the server managed, and twice as many; the half also evenly spaced. Then
mutated images; last, the memory of a server with a small network over 100,000 requests.
"""

import asyncio
import io
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.common import SHARED, Record, bvlc, command, need, on_machine
from inceptorch.classifier.classifier import Classifier
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import throughput
from inceptorch.models.module import Model
from inceptorch.networks.layers import BatchNorm, Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec

SECONDS = 20.0  # of each load
CONNECTIONS = 64
SIDE = 500  # pixels of the longer side of the images sent
MUTATED, TOGETHER = 10_000, 32  # images, and how many a request
MANY, STEP = 100_000, 10_000  # requests, and after how many of them memory is looked at
TINY = NetworkSpec(
    "tiny",
    title="two layers",
    source="this measurement, which is about the server",
    size=16,
    body={"conv1": Conv(8, 3, 2), "conv2": Conv(16, 3)},
    head={"avgpool": GlobalAverage()},
    norm=BatchNorm(),
)


class Reply(NamedTuple):
    status: int  # 0: the connection was cut without an answer
    seconds: float
    body: bytes


class Client:
    """Requests over as many connections as there are requests at once; each is kept while the server keeps it."""

    def __init__(self, port: int):
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> Reply:
        began = time.perf_counter()
        try:
            reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            found = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(found[1]) if found else 0)
        except (OSError, asyncio.IncompleteReadError):
            return Reply(0, time.perf_counter() - began, b"")
        seconds = time.perf_counter() - began
        if b"connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return Reply(int(head[9:12]), seconds, body)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def request(*files: bytes) -> bytes:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + f + b"\r\n" for f in files
    ]
    body = b"".join(parts) + b"--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def without_pause(port: int, requests: list[bytes], connections: int, count: float) -> list[Reply]:
    """So many connections, each with one request after the other, for SECONDS or until `count` are answered."""
    client, replies, end = Client(port), list[Reply](), time.perf_counter() + SECONDS

    async def go_on() -> None:
        while time.perf_counter() < end if count == 0 else len(replies) < count:
            replies.append(await client.ask(random.choice(requests)))

    await asyncio.gather(*(go_on() for _ in range(connections)))
    client.close()
    return replies


async def whatever_becomes(port: int, requests: list[bytes], pause: Callable[[], float]) -> list[Reply]:
    """Requests after pauses of so many seconds, for SECONDS, whatever becomes of those before."""
    client, tasks, end = Client(port), list[asyncio.Task[Reply]](), time.perf_counter() + SECONDS
    due = time.perf_counter()
    while (due := due + pause()) < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(client.ask(random.choice(requests))))
    replies = await asyncio.gather(*tasks)
    client.close()
    return replies


async def at_random_moments(port: int, requests: list[bytes], per_second: float) -> list[Reply]:
    return await whatever_becomes(port, requests, lambda: random.expovariate(per_second))


async def evenly(port: int, requests: list[bytes], per_second: float) -> list[Reply]:
    return await whatever_becomes(port, requests, lambda: 1 / per_second)


@contextmanager
def serving(model: Path) -> Iterator[tuple[int, int]]:
    """A server's process and port; it must end well."""
    command = [sys.executable, "-m", "inceptorch", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = next(line for line in child.stdout if line.startswith("serving on "))
        yield child.pid, int(line.rpartition(":")[2])
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0


def memory(pid: int) -> float:
    """Megabytes that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def told(replies: list[Reply], seconds: float) -> dict[str, Any]:
    times = {
        status: [1000 * r.seconds for r in replies if r.status == status] for status in {r.status for r in replies}
    }
    return {
        "requests": len(replies),
        "answered_per_second": len(times.get(200, [])) / seconds,
        "statuses": {str(status): len(found) for status, found in sorted(times.items())},
        "milliseconds": {
            str(status): {"p50": np.median(found), "p99": np.percentile(found, 99), "max": max(found)}
            for status, found in sorted(times.items())
        },
    }


def photographs() -> list[bytes]:
    """The photographs, as JPEG of a usual size for the web."""
    files = []
    for path in sorted(need(SHARED / "photos").glob("*.png"))[:50]:
        image = decode(path).image
        image.thumbnail((SIDE, SIDE))
        with io.BytesIO() as file:
            image.save(file, "JPEG", quality=85)
            files.append(file.getvalue())
    return files


def mutated(files: list[bytes], count: int) -> list[bytes]:
    """Images of which some bytes are others, and many of which end early."""
    chosen = random.Random(0)
    made = []
    for _ in range(count):
        content = bytearray(chosen.choice(files))
        for _ in range(chosen.randint(1, 8)):
            content[chosen.randrange(len(content))] = chosen.randrange(256)
        made.append(bytes(content[: chosen.randint(1, 2 * len(content))]))
    return made


def run() -> Record:
    photos = photographs()
    requests = [request(photo) for photo in photos]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "googlenet.onnx"
        subprocess.run([sys.executable, "-m", "inceptorch", "export", bvlc(folder), "--out", model], check=True)
        engine = open_engine(model)
        crops = np.stack([engine.config.preprocessing.apply(photo) for photo in photos[: engine.batch_size]])
        own = throughput(engine, crops, SECONDS)
        with serving(model) as (pid, port):
            asyncio.run(without_pause(port, requests, 4, 40))  # warm
            single = told(asyncio.run(without_pause(port, requests, 1, 100)), SECONDS)
            before = memory(pid)
            began = time.perf_counter()
            full = told(asyncio.run(without_pause(port, requests, CONNECTIONS, 0)), time.perf_counter() - began)
            rate = full["answered_per_second"]
            half = told(asyncio.run(at_random_moments(port, requests, rate / 2)), SECONDS)
            even = told(asyncio.run(evenly(port, requests, rate / 2)), SECONDS)
            twice = told(asyncio.run(at_random_moments(port, requests, rate * 2)), SECONDS)
            after_load = memory(pid)
            small = [file for photo in photos[:10] for file in variants(photo)]
            bad = mutated(small, MUTATED)
            groups = [request(*bad[start : start + TOGETHER]) for start in range(0, MUTATED, TOGETHER)]
            replies = asyncio.run(each(port, groups))
            after = memory(pid)
        over_requests = flat(Path(folder))
    entries = [entry for reply in replies for entry in json.loads(reply.body)]
    return {
        "n": {"seconds of each load": SECONDS},
        "engine": str(engine),
        "batch": engine.batch_size,
        "at_once": engine.max_concurrency,
        "image_bytes": round(float(np.mean([len(photo) for photo in photos]))),
        "engine_alone_per_second": own,
        "connections": CONNECTIONS,
        "one_at_a_time": single["milliseconds"],
        "full_load": full,
        "of_engine_alone": rate / own,
        "half_load": half,
        "half_load_evenly": even,
        "twice_the_load": twice,
        "mutated": {
            "images": len(entries),
            "statuses": dict(Counter(str(reply.status) for reply in replies)),
            "answered": sum("predictions" in entry for entry in entries),
            "unreadable": sum("error" in entry for entry in entries),
        },
        "memory_megabytes": {"at_first": before, "after_load": after_load, "after_mutated": after},
        "memory_megabytes_over_requests": over_requests,
    }


def flat(folder: Path) -> dict[int, float]:
    """Megabytes of a server with a small network after so many requests with one small image."""
    Classifier.of(Model(TINY, 7).eval(), default_preprocessing(16), [f"class {n}" for n in range(7)]).save(
        folder / "tiny"
    )
    requests = [request(variant) for photo in photographs()[:5] for variant in variants(photo)]
    found = {}
    with serving(folder / "tiny") as (pid, port):
        for goes in range(1, MANY // STEP + 1):
            replies = asyncio.run(without_pause(port, requests, 16, STEP))
            assert all(reply.status == 200 for reply in replies)
            found[goes * STEP] = memory(pid)
            print(goes * STEP, found[goes * STEP], file=sys.stderr)
    return found


async def each(port: int, requests: list[bytes]) -> list[Reply]:
    """Every request once, one after the other."""
    client = Client(port)
    replies = [await client.ask(one) for one in requests]
    client.close()
    return replies


def variants(photo: bytes) -> list[bytes]:
    """An image, small, in each format."""
    image = decode(photo).image
    image.thumbnail((96, 96))
    files = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"):
        with io.BytesIO() as file:
            image.save(file, kind)
            files.append(file.getvalue())
    return files


LOADS = (
    ("{connections} connections without pause", "full_load"),
    ("half of that, evenly spaced", "half_load_evenly"),
    ("half of that, at random moments", "half_load"),
    ("twice as many, at random moments", "twice_the_load"),
)


def render(record: Record) -> str:
    alone = record["one_at_a_time"]["200"]
    rows = [f"| one connection | | {alone['p50']:.0f} and {alone['p99']:.0f} | none |"]
    for what, key in LOADS:
        load = record[key]
        good, refused = load["milliseconds"].get("200"), load["milliseconds"].get("503")
        times = f"{good['p50']:.0f} and {good['p99']:.0f}" if good else ""
        no = f"{load['statuses']['503']}, {refused['p50']:.0f} and {refused['p99']:.0f}" if refused else "none"
        rows.append(f"| {what.format(**record)} | {load['answered_per_second']:.1f} | {times} | {no} |")
    memory, mutated = record["memory_megabytes"], record["mutated"]
    (first, at_first), *_, (last, at_last) = record["memory_megabytes_over_requests"].items()
    table = "\n".join(rows)
    return f"""
## Measured

`{command(record)}`, on {on_machine(record)}, the client on the same cores: BVLC's GoogLeNet on {record["engine"]}, JPEG
photographs of {record["image_bytes"] / 1000:.0f} kB. The engine alone, kept busy with decoded images:
{record["engine_alone_per_second"]:.1f} a second; the server with {record["connections"]} connections has
{record["of_engine_alone"]:.0%} of that.

| load | answered per second | ms to an answer, p50 and p99 | refused with 503, ms p50 and p99 |
| --- | --- | --- | --- |
{table}

{mutated["images"]} mutated images: {mutated["answered"]} answered, {mutated["unreadable"]} with an error of their
own, no crash and no hang. Memory: {memory["at_first"]:.0f} MB at the start, {memory["after_load"]:.0f} after the loads,
{memory["after_mutated"]:.0f} after the mutated images. A server with a small network on torch has {at_first:.0f} MB
after {first} requests and {at_last:.0f} after {last}.
"""
