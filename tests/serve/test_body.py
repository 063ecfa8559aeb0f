import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits
from tests.serve.helpers import Server, form, head, image, process, read_reply, running

Compress = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("body", "kind", "status", "sentence"),
    [
        (b"", "text/plain", 400, "multipart/form-data"),
        (b"x", "multipart/form-data", 400, "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=" + "e" * 300, 400, "cannot be read"),
        (b"no form", "multipart/form-data; boundary=edge", 400, "cannot be read"),
        (form([("a", b"x")])[0][:-8], "multipart/form-data; boundary=edge", 400, "cut off"),
        (form([("a", b"x")], "image")[0], "multipart/form-data; boundary=edge", 400, "no part named 'file'"),
        (form([])[0], "multipart/form-data; boundary=edge", 400, "no part named 'file'"),
        (form([("a", b"x")] * 33)[0], "multipart/form-data; boundary=edge", 413, "32 images"),
    ],
)
def test_malformed_forms_are_refused(server: Server, body: bytes, kind: str, status: int, sentence: str) -> None:
    reply = server.request("/predict", body, {"Content-Type": kind})
    assert reply.status == status
    assert reply.json.keys() == {"error"}
    assert sentence in reply.json["error"]
    assert server.predict(("a", image())).status == 200


def test_bodies_are_limited_with_and_without_content_length(engine: Engine) -> None:
    body, kind = form([("a", bytes(200_000))])
    with running({"tiny": engine}, Limits(max_body=100_000)) as server:
        refused = server.predict(("a", bytes(200_000)))
        assert (refused.status, refused.headers["Connection"]) == (413, "close")
        assert "0.0953674 MB" in refused.json["error"]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:90_000], body[90_000:]))
        with server.connect(head("/predict", Content_Type=kind, Transfer_Encoding="chunked"), chunks) as connection:
            assert read_reply(connection).status == 413
        with server.connect(head("/v2/models/tiny/infer", Content_Length=100_001)) as connection:
            assert read_reply(connection).status == 413  # before anything of it is sent
        assert server.predict(("a", image())).status == 200


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_inflated_within_the_limit(engine: Engine, encoding: str, compress: Compress) -> None:
    body, kind = form([("a.png", image())])
    with running({"tiny": engine}, Limits(max_body=100_000)) as server:

        def status(content: bytes, encoding: str = encoding) -> tuple[int, str]:
            reply = server.request("/predict", content, {"Content-Type": kind, "Content-Encoding": encoding})
            return reply.status, "" if reply.status == 200 else reply.json["error"]

        assert status(compress(body)) == (200, "")
        assert status(body, "identity") == (200, "")
        assert status(compress(bytes(100_000_000)))[0] == 413
        assert status(body) == (400, "The body is not compressed as its Content-Encoding says.")
        assert status(compress(body)[:-9]) == (400, "The compressed body is cut off before its end.")
        assert status(compress(body) + b"more") == (400, "The body goes on after the end of its compressed content.")
        for other in ("br", "gzip, gzip"):
            assert status(body, other)[0] == 415


def test_an_image_may_be_the_body(server: Server) -> None:
    by_form = server.predict(("a.png", image()), query="?top=2").json[0]["predictions"]
    reply = server.request("/predict?top=2", image(), {"Content-Type": "image/png"})
    assert (reply.status, reply.json) == (200, [{"file": "", "predictions": by_form}])
    broken = server.request("/predict", b"no image", {"Content-Type": "image/jpeg"})
    assert (broken.status, list(broken.json[0])) == (200, ["file", "error"])


@pytest.mark.slow
def test_mutated_forms_do_not_break_the_server(server: Server) -> None:
    random = np.random.default_rng(1)
    whole, kind = form([("a.png", image()), ("b.png", b"x")])
    statuses = set()
    for _ in range(300):
        body = bytearray(whole)
        for place in random.integers(0, 100, random.integers(1, 4)):
            body[place] = random.integers(256)
        statuses.add(server.request("/predict", bytes(body), {"Content-Type": kind}).status)
    assert statuses == {200, 400}


@pytest.mark.slow
def test_uploads_never_touch_the_disk(exported: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1000, 3), dtype=np.uint8)
    content = image(pixels=pixels)
    assert len(content) > 3_000_000
    with process(exported) as (_, server):
        reply = server.predict(("a", content), ("b", content))
        assert (reply.status, [list(entry) for entry in reply.json]) == (200, [["file", "predictions"]] * 2)
