"""Bundles from the Hugging Face hub, of which these tests have a small one of their own."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import inceptorch
from inceptorch.classifier.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from tests.conftest import TINY

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Answers as the hub does for `files` of the repository me/tiny, whose one commit is main and v1."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        repository, _, rest = self.path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        fault = None
        if repository != "me/tiny":
            fault = "RepoNotFound"
        elif revision not in ("main", "v1", COMMIT):
            fault = "RevisionNotFound"
        elif name not in self.server.files:
            fault = "EntryNotFound"
        content = self.server.files[name] if fault is None else b""
        self.send_response(404 if fault else 200)
        if fault:
            self.send_header("X-Error-Code", fault)
        else:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    Classifier.of(Model(TINY, 3), default_preprocessing(16), ["red", "green", "blue"]).save(folder)
    return folder


@pytest.fixture
def hub(bundle: Path) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with Hub(files | {"more.bin": b"which nobody asks for"}) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def fetched(url: str, name: str, home: Path) -> tuple[str, str]:
    """The folder that a process of its own finds, or what it says instead: the library reads its settings once."""
    code = f"""
from inceptorch.errors import BundleError
from inceptorch.classifier.hub import resolve_weights
try:
    print(resolve_weights({name!r}), end="")
except BundleError as error:
    print(error, end="")
"""
    env = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(home), "no_proxy": "*", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    return done.stdout, done.stderr


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_a_bundle_is_fetched_once_and_then_found_without_a_network(
    hub: Hub, bundle: Path, tmp_path: Path, revision: str
) -> None:
    said, fault = fetched(hub.url, f"hf-hub:me/tiny{revision}", tmp_path)
    folder = Path(said)
    assert folder.is_dir(), (said, fault)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    for name in names:
        assert (folder / name).read_bytes() == (bundle / name).read_bytes()
    assert inceptorch.load(folder).classes == inceptorch.load(bundle).classes
    assert not any("more.bin" in asked for asked in hub.asked)
    nobody = "http://127.0.0.1:9"
    assert fetched(nobody, f"hf-hub:me/tiny{revision}", tmp_path)[0] == said
    assert sum(asked.startswith("GET") and "/resolve/" in asked for asked in hub.asked) == 3


def test_a_card_may_be_missing(hub: Hub, tmp_path: Path) -> None:
    del hub.files["README.md"]
    folder = Path(fetched(hub.url, "hf-hub:me/tiny", tmp_path)[0])
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hf-hub:me/tinny", "the hub has no such repository, or it is private. Try `hf auth login`"),
        ("hf-hub:me/tiny@v2", "the repository has no revision 'v2'. Try it without one."),
        ("hf-hub:me/a/tiny", "it is not the name of a repository. Write hf-hub:OWNER/NAME"),
    ],
)
def test_what_is_not_there_is_a_sentence(hub: Hub, tmp_path: Path, name: str, sentence: str) -> None:
    assert f"Cannot fetch {name}: {sentence}" in fetched(hub.url, name, tmp_path)[0]


def test_a_repository_without_a_bundle_is_a_sentence(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    said, _ = fetched(hub.url, "hf-hub:me/tiny", tmp_path)
    assert said.startswith("Cannot fetch hf-hub:me/tiny: the repository holds no bundle, which has config.json and")


def test_without_a_network_one_sentence_says_so(tmp_path: Path) -> None:
    said, _ = fetched("http://127.0.0.1:9", "hf-hub:me/tiny", tmp_path)
    assert said == (
        "Cannot fetch hf-hub:me/tiny: the hub does not answer, and no copy is kept here. Try again with a network."
    )
