"""Models and classifiers by name, from the hub too."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import inceptorch
from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import resolve_weights
from inceptorch.classifier.published import Hash, published
from inceptorch.errors import BundleError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from tests.conftest import TINY

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
def hub_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    Classifier.of(Model(TINY, 3), default_preprocessing(16), ["red", "green", "blue"]).save(folder)
    return folder


@pytest.fixture
def hub(hub_bundle: Path) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in hub_bundle.iterdir()}
    with Hub(files | {"more.bin": b"which nobody asks for"}) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def fetched(url: str, name: str, home: Path) -> tuple[str, str]:
    """The folder that a process of its own finds, or what it says instead: the library reads its settings once."""
    code = f"""
import time
time.sleep = lambda seconds: None  # the library waits before it tries again
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


def test_weights_carry_over_to_other_classes_and_channels(bundle: Path) -> None:
    given = load_file(bundle / "model.safetensors")
    same = inceptorch.create_model("tiny", weights=bundle)
    assert torch.equal(same.state_dict()["head.linear.weight"], given["head.linear.weight"])
    model = inceptorch.create_model("tiny", num_classes=7, in_chans=1, weights=bundle, aux=True)
    assert model.get_classifier().out_features == 7
    gray = torch.randn(2, 1, 16, 16)
    expected = inceptorch.create_model("tiny", weights=bundle).eval().forward_features(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(model.eval().forward_features(gray), expected)
    with pytest.raises(BundleError, match="holds the network 'tiny', not 'googlenet'"):
        inceptorch.create_model("googlenet", weights=bundle)


def test_auxiliary_heads_do_not_stand_in_the_way_of_other_channels(tiny: NetworkSpec, tmp_path: Path) -> None:
    Classifier.of(Model(tiny, 3, aux=True), default_preprocessing(16), ["a", "b", "c"], aux_heads=True).save(
        tmp_path / "bundle"
    )
    gray = inceptorch.create_model("tiny", in_chans=1, weights=tmp_path / "bundle", aux=True)
    kept = load_file(tmp_path / "bundle" / "model.safetensors")
    assert torch.equal(gray.state_dict()["aux.mix.fc.linear.weight"], kept["aux.mix.fc.linear.weight"])
    assert torch.equal(gray.state_dict()["body.conv1.conv.weight"], kept["body.conv1.conv.weight"].sum(1, keepdim=True))


def test_weights_of_another_table_of_the_same_name_are_refused(tiny: NetworkSpec, bundle: Path) -> None:
    longer = replace(tiny, body={**tiny.body, "more": Conv(16)})
    with pytest.raises(BundleError, match="called 'tiny', but its layer more differs"):
        inceptorch.create_model(longer, weights=bundle)


def test_a_separable_stem_serves_only_the_channels_it_was_trained_for(tmp_path: Path) -> None:
    model = Model(NETS["bn_inception_small"], 2)
    Classifier.of(model, default_preprocessing(32), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="begins with a separable convolution, whose weights for 3 channels"):
        inceptorch.create_model("bn_inception_small", in_chans=1, weights=tmp_path / "bundle")


def test_a_name_that_is_no_folder_gets_a_suggestion() -> None:
    with pytest.raises(BundleError, match="a folder or published weights .*did you mean 'googlenet.bvlc'"):
        inceptorch.load("googlenet.bvlx")


def test_published_weights_by_name_are_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    """The file is put where the sentence for those without a network says; it is known by its hash."""
    source = shared / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz"
    digest = Hash("sha256", hashlib.sha256(source.read_bytes()).hexdigest(), "this test")
    here = replace(published()["googlenet.bvlc"], name="here", url=f"http://localhost/{source.name}", hash=digest)
    monkeypatch.setitem(published(), "here", here)
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path))
    here.path().parent.mkdir(parents=True)
    shutil.copy(source, here.path())
    folder = resolve_weights("here")
    made = (folder / "config.json").stat().st_mtime_ns
    assert inceptorch.load("here").classes[0] == "tench"
    assert (folder / "config.json").stat().st_mtime_ns == made
    (tmp_path / "elsewhere" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resolve_weights("here") == tmp_path / "elsewhere" / "here"  # a folder of that name goes before


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_a_bundle_is_fetched_once_and_then_found_without_a_network(
    hub: Hub, hub_bundle: Path, tmp_path: Path, revision: str
) -> None:
    said, fault = fetched(hub.url, f"hf-hub:me/tiny{revision}", tmp_path)
    folder = Path(said)
    assert folder.is_dir(), (said, fault)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    for name in names:
        assert (folder / name).read_bytes() == (hub_bundle / name).read_bytes()
    assert inceptorch.load(folder).classes == inceptorch.load(hub_bundle).classes
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
        "Cannot fetch hf-hub:me/tiny: the hub does not answer, and no copy is cached. Try again with a network."
    )
