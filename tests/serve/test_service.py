import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.images.decode import Decoded, decode
from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.serve.admission import Limits
from inceptorch.utils.cpu import processors
from tests.helpers import png
from tests.serve.helpers import READY, Gate, Server, form, head, image, read_reply, running, wait_until


def test_entries_are_those_of_predict(server: Server, bundle: Path, tmp_path: Path) -> None:
    files = {"a.png": image(), "b.jpg": image("JPEG"), "cut off.png": image()[:200], "text.jpg": b"no image"}
    exif = Image.Exif()
    exif[0x0112] = 6
    files["turned.jpg"] = image("JPEG", exif=exif)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in files]
    result = CliRunner().invoke(app, ["predict", str(bundle), *paths, "--json", "--top", "2"])
    assert result.exit_code == 1  # two cannot be read
    expected = json.loads(result.stdout)
    reply = server.predict(*zip(paths, files.values(), strict=True), query="?top=2")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    for ours, theirs in zip(reply.json, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert (ours["file"], ours.get("error")) == (theirs["file"], theirs.get("error"))
        for mine, yours in zip(ours.get("predictions", []), theirs.get("predictions", []), strict=True):
            assert (mine["label"], mine["index"]) == (yours["label"], yours["index"])
            assert mine["probability"] == pytest.approx(yours["probability"], abs=1e-5)
    assert [("error" in entry) for entry in reply.json] == [False, False, True, True, False]


def test_activation_maps_cover_the_crop(server: Server, engine: Engine) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, seen standing
    content = image("JPEG", exif=exif)
    (entry,) = server.predict(("a.jpg", content), query="?maps=1").json
    assert (entry["width"], entry["height"]) == (24, 36)
    assert entry["box"] == list(engine.config.preprocessing.box(24, 36))
    answer = engine.run(engine.config.preprocessing.apply(content)[None], maps=True)
    assert answer.maps is not None
    assert answer.map_classes is not None
    assert entry["map_classes"] == answer.map_classes[0].tolist() == [one["index"] for one in entry["predictions"]]
    np.testing.assert_allclose(entry["maps"], answer.maps[0], rtol=5.1e-4)
    assert all(len(f"{abs(value):.9e}".split("e")[0].rstrip("0")) <= 5 for value in np.ravel(entry["maps"]))


def test_work_of_disconnected_clients_is_canceled(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}) as server:
        gate.close()
        body, kind = form([("a", image())])
        whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
        first = server.connect(whole)
        wait_until(lambda: gate.sizes == [1], "the engine to be busy")
        gone = [server.connect(whole) for _ in range(8)]
        server.wait_for('inceptorch_queue_images{model="tiny"}', 9)
        for number, connection in enumerate(gone):
            connection.close() if number % 2 else connection.shutdown(socket.SHUT_WR)
        part = server.connect(head("/predict", Content_Type=kind, Content_Length=len(body)) + body[:50])
        part.close()
        server.wait_for('inceptorch_queue_images{model="tiny"}', 1)
        gate.open.set()
        assert read_reply(first).status == 200
        assert gate.sizes == [1]
        assert server.counter('inceptorch_requests_total{path="/predict",status="499"}') == 9
        for connection in [first, *gone]:
            connection.close()


def failing(*args: object, **options: object) -> EngineOutput:
    raise RuntimeError("broken")


def ending(*args: object, **options: object) -> EngineOutput:
    raise SystemExit(1)


def without_numbers(crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
    return EngineOutput.of_probabilities(np.full((len(crops), 3), np.nan, np.float32))


@pytest.mark.parametrize("failure", [failing, ending, without_numbers])
def test_a_model_that_fails_is_not_ready_until_it_answers(
    engine: Engine, caplog: pytest.LogCaptureFixture, failure: Callable[..., EngineOutput]
) -> None:
    with running({"tiny": engine}) as server:
        assert [server.request(path).status for path in READY] == [200] * 3
        assert "error" in server.predict(("a", b"no image")).json[0]
        assert [server.request(path).status for path in READY] == [200] * 3  # the image was at fault
        run = engine.run
        engine.run = failure  # type: ignore[method-assign]
        assert server.predict(("a", image())).status == 500
        assert [server.request(path).status for path in READY] == [503] * 3
        assert server.request("/healthz").status == 200
        engine.run = run  # type: ignore[method-assign]
        assert [server.request(path).status for path in READY] == [200] * 3  # though no request came
        assert server.predict(("a", image())).status == 200


def test_a_request_to_a_hanging_engine_ends(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}, Limits(max_seconds=0.2)) as server:
        gate.close()
        reply = server.predict(("a", image()))
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert "not answered within 0.4 seconds" in reply.json["error"]
        assert server.counter('inceptorch_queue_images{model="tiny"}') == 0
        assert [server.request(path).status for path in READY] == [503] * 3
        gate.open.set()
        wait_until(lambda: server.request("/readyz").status == 200, "the model to be ready")


@pytest.mark.slow
def test_mutated_images_do_not_break_the_server(server: Server) -> None:
    random = np.random.default_rng(0)
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
    files = [image(kind) for kind in kinds]
    read = 0
    for _ in range(2000 // 32 + 1):
        mutated = []
        for _ in range(32):
            content = bytearray(files[random.integers(len(files))])
            for place in random.integers(0, len(content), random.integers(1, 9)):
                content[place] = random.integers(256)
            mutated.append(("a", bytes(content[: random.integers(1, 2 * len(content))])))
        reply = server.predict(*mutated)
        assert reply.status == 200
        assert [sorted(entry) for entry in reply.json if "error" not in entry] == [["file", "predictions"]] * sum(
            "error" not in entry for entry in reply.json
        )
        assert not any("0x" in entry.get("error", "") or "/" in entry.get("error", "") for entry in reply.json)
        read += sum("predictions" in entry for entry in reply.json)
    assert 100 < read < 1900  # of both kinds there are many
    assert server.predict(("a", image())).status == 200


@pytest.mark.parametrize(("large", "at_once"), [(100, 1), (10_000, processors())])
def test_large_images_are_decoded_one_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, large: int, at_once: int
) -> None:
    meanwhile, seen, lock = 0, list[int](), threading.Lock()

    def watched(content: bytes) -> Decoded:
        nonlocal meanwhile
        with lock:
            meanwhile += 1
            seen.append(meanwhile)
        time.sleep(0.02)
        decoded = decode(content)
        with lock:
            meanwhile -= 1
        return decoded

    monkeypatch.setattr("inceptorch.serve.service.LARGE", large)
    monkeypatch.setattr("inceptorch.serve.service.decode", watched)
    entries = server.predict(*[("a", image())] * 8, ("b", png(30_000, 30_000, b"")), query="?maps=1").json
    assert all("predictions" in entry for entry in entries[:8])
    assert entries[8]["error"] == "has more than 89 million pixels; reduce it before use"
    assert (len(seen), max(seen)) == (8, at_once)


@pytest.mark.slow
def test_an_exported_file_is_served_without_torch(exported: Path) -> None:
    check = f"""
import sys
from inceptorch.inference.engines import open_engine
from inceptorch.serve.admission import Limits
from inceptorch.serve.server import create_server
from inceptorch.serve.service import Service
create_server(Service({{"tiny": open_engine({str(exported)!r}, "onnxruntime")}}, Limits()))
assert not {{"torch", "torchvision"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
