from collections.abc import Iterator
from pathlib import Path

import pytest

from inceptorch.inference.engines import Engine
from inceptorch.serve.guard import Access
from tests.serve.helpers import Server, head, image, process, read_reply, running

ANSWERED = 'inceptorch_images_total{model="tiny",outcome="answered"}'


@pytest.fixture
def local(engine: Engine) -> Iterator[Server]:
    """A server as on this machine alone."""
    with running({"tiny": engine}, access=Access(None, True, {"classify.lan"})) as server:
        yield server


def test_both_framings_at_once_are_refused_and_the_connection_closed(server: Server) -> None:
    """Else a proxy that believes the length and a server that believes the chunks would part requests differently."""
    hidden = b"0\r\n\r\nGET /about HTTP/1.1\r\nHost: here\r\n\r\n"
    for path in ("/predict", "/v2/models/tiny/infer", "/nothing"):
        with server.connect(head(path, Content_Length=6, Transfer_Encoding="chunked") + hidden) as connection:
            reply = read_reply(connection)
            assert (reply.status, reply.headers["Connection"]) == (400, "close")
            assert "Content-Length" in reply.json["error"]
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "", "x y"]
)
def test_another_name_of_this_machine_is_refused(local: Server, host: str) -> None:
    for path in ("/", "/about", "/metrics", "/healthz", "/v2/models/tiny"):
        reply = local.request(path, headers={"Host": host})
        assert (reply.status, list(reply.json)) == (403, ["error"])
    assert local.predict(("a", image()), headers={"Host": host}).status == 403


def test_its_own_names_are_answered(local: Server) -> None:
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "classify.lan", "Classify.LAN:80"):
        assert local.predict(("a", image()), headers={"Host": host}).status == 200
    with local.connect(b"GET /healthz HTTP/1.0\r\n\r\n") as connection:
        assert read_reply(connection).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_may_not_post(local: Server, engine: Engine, headers: dict[str, str]) -> None:
    for path in ("/predict", "/v2/models/tiny/infer", "/about"):
        reply = local.request(path, b"{}", {"Host": "localhost:8000", **headers})
        assert (reply.status, list(reply.json)) == (403, ["error"])
    with running({"tiny": engine}) as everywhere:
        assert everywhere.predict(("a", image()), headers=headers).status == 403
    with running({"tiny": engine}, access=Access("sesame")) as closed:  # whose token no page knows
        headers = {"Authorization": "Bearer sesame", **headers}
        assert closed.predict(("a", image()), headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "https://behind.a.proxy", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://classify.lan:81", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_its_own_page_and_programs_may_post(local: Server, headers: dict[str, str]) -> None:
    assert local.predict(("a", image()), headers={"Host": "localhost:8000", **headers}).status == 200


def test_no_page_of_another_site_may_load_an_answer(server: Server) -> None:
    for path in ("/", "/page.js", "/about", "/metrics", "/nothing"):
        assert server.request(path).headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.slow
def test_the_command_on_loopback_answers_this_machine_alone(exported: Path) -> None:
    with process(exported, "--allow-host", "Classify.lan") as (_, server):
        foreign = {"Host": "evil.example"}
        assert server.request("/about", headers=foreign).status == 403
        assert server.predict(("a", image()), headers=foreign).status == 403
        assert server.predict(("a", image()), headers={"Origin": "http://evil.example"}).status == 403
        for headers in ({}, {"Host": "localhost"}, {"Host": "classify.lan"}):
            assert server.predict(("a", image()), headers=headers).status == 200
        assert server.counter(ANSWERED) == 3
