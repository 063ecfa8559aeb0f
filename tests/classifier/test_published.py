"""Published weights, against their sources, and downloads from a server that fails."""

import hashlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier.published import CHUNK, Accuracy, Hash, Published, fetch, get_weights, published
from inceptorch.errors import BundleError
from inceptorch.networks.zoo import NETS
from tests.conftest import hear_ctrl_c
from tests.helpers import invoke

CONTENT = np.random.default_rng(0).bytes(2 * CHUNK + 12345)
TIMM = [name for name, one in published().items() if "huggingface.co" in one.url]
TORCHVISION = {"googlenet_tv.torchvision": "GoogLeNet", "inception_v3.torchvision": "Inception_V3"}


class Server(ThreadingHTTPServer):
    """Serves `content` at every path; remembers the Range of every request."""

    content = CONTENT
    ranges = True  # honours Range
    begins_early = 0  # by as many bytes than the Range says
    status = 200
    cut: int | None = None  # ends the connection after as many bytes
    stalls = False  # then says nothing more, instead of ending it

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.go_on = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/files/weights.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wish = self.server, self.headers["Range"]
        server.asked.append(wish)
        begin = int(wish[len("bytes=") : -1]) - server.begins_early if wish and server.ranges else 0
        if server.status != 200:
            self.send_error(server.status)
            return
        if begin >= len(server.content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - begin))
        self.end_headers()
        self.wfile.write(server.content[begin : server.cut])
        if server.stalls:
            self.wfile.flush()
            server.go_on.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def one(server: Server) -> Published:
    """Weights that the server has, with their hash."""
    right = Hash("sha256", hashlib.sha256(CONTENT).hexdigest(), "these tests")
    return replace(get_weights("googlenet.bvlc"), name="net.test", url=server.url, bytes=None, hash=right)


def part(one: Published, folder: Path, content: bytes) -> Path:
    path = one.path(folder)
    path.parent.mkdir(parents=True)
    path = path.with_name(path.name + ".part")
    path.write_bytes(content)
    return path


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8))


def scaled(one: Published, image: Image.Image) -> NDArray[np.float64]:
    """What a network is given of an image, channels last."""
    centered = one.preprocessing.apply(image) - np.array(one.preprocessing.mean)
    return np.asarray(centered / np.array(one.preprocessing.std), np.float64)


def command(one: Published, folder: Path) -> list[str]:
    """A process that fetches, and prints what is wrong."""
    assert one.hash is not None
    script = f"""
from dataclasses import replace
from pathlib import Path
from inceptorch.classifier.published import BundleError, Hash, fetch, get_weights
hash = Hash("sha256", {one.hash.digits!r}, "")
one = replace(get_weights("googlenet.bvlc"), name={one.name!r}, url={one.url!r}, bytes=None, hash=hash)
try:
    fetch(one, Path({str(folder)!r}))
except BundleError as error:
    print(error)
"""
    return [sys.executable, "-c", script]


def test_every_entry_describes_one_of_our_networks() -> None:
    for name, one in published().items():
        assert one.name == name
        assert one.url.startswith(("https://", "http://")), name
        assert one.preprocessing.size == NETS[one.net].size, name
        assert one.preprocessing.in_chans == 3, name
        assert one.outputs in (1000, 1008), name
        assert one.license in ("unrestricted", "not stated", "Apache-2.0"), name
        if one.accuracy:
            assert 60 < one.accuracy.top1 < one.accuracy.top5 < 100, name
            assert f"center crop {one.preprocessing.size}" in one.accuracy.protocol, name
            assert f"to {one.preprocessing.resize}" in one.accuracy.protocol, name
        if one.hash:
            assert re.fullmatch(r"[0-9a-f]{8,}", one.hash.digits), name
            assert len(one.hash.digits) <= {"sha1": 40, "sha256": 64}[one.hash.algorithm], name
            in_name = re.search(r"-([0-9a-f]{8,})\.pth$", one.file)  # as torchvision's, pytorch-fid's and Cadene's have
            assert in_name is None or one.hash.digits.startswith(in_name[1]), name


def test_no_name_is_given_twice() -> None:
    text = resources.files("inceptorch.classifier").joinpath("published.yaml").read_text(encoding="utf-8")
    names = re.findall(r"^([\w.]+):$", text, re.MULTILINE)
    assert names == list(published())


@pytest.mark.parametrize("name", TIMM)
def test_pixels_are_timms(name: str) -> None:
    import timm
    from timm.data.transforms_factory import create_transform

    one, config = get_weights(name), timm.get_pretrained_cfg(name)
    assert config is not None
    assert one.url == f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    assert one.license.lower() == config.license
    assert one.outputs == config.num_classes
    assert one.preprocessing.resize == math.floor(config.input_size[1] / config.crop_pct)
    transform = create_transform(
        config.input_size,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
    )
    image = noise()
    np.testing.assert_allclose(scaled(one, image), transform(image).permute(1, 2, 0).numpy(), atol=1e-5)


def test_there_are_all_of_timms() -> None:
    import timm

    families = ("inception_v3", "inception_v4", "inception_resnet_v2")
    assert sorted(TIMM) == sorted(name for family in families for name in timm.list_pretrained(f"{family}.*"))


@pytest.mark.parametrize("name", TORCHVISION)
def test_pixels_are_torchvisions(name: str) -> None:
    import torchvision.models as models

    one, given = get_weights(name), getattr(models, f"{TORCHVISION[name]}_Weights").IMAGENET1K_V1
    transform = given.transforms()
    assert one.url == given.url
    assert ([one.preprocessing.size], [one.preprocessing.resize]) == (transform.crop_size, transform.resize_size)
    assert one.preprocessing.filter == transform.interpolation.value
    accuracy = given.meta["_metrics"]["ImageNet-1K"]
    assert one.accuracy is not None
    assert (one.accuracy.top1, one.accuracy.top5) == (accuracy["acc@1"], accuracy["acc@5"])
    # In one color, as its center crop may begin a pixel elsewhere.
    image = Image.new("RGB", (400, 400), (10, 100, 230))
    model = getattr(models, {"Inception_V3": "Inception3"}.get(TORCHVISION[name], TORCHVISION[name]))
    fed = model._transform_input(SimpleNamespace(transform_input=True), transform(image)[None])
    np.testing.assert_allclose(scaled(one, image), fed[0].permute(1, 2, 0).numpy(), atol=1e-5)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(BundleError, match=r"no published weights 'googlenet.bvcl': did you mean 'googlenet.bvlc'\?"):
        get_weights("googlenet.bvcl")


def test_a_model_card_says_what_is_known() -> None:
    about = replace(
        get_weights("inception_v4.tf_in1k"), accuracy=Accuracy(80.1, 95.0, "center crop"), note="N"
    ).metadata()
    assert about.accuracy == "top-1 80.1%, top-5 95.0% (center crop)"
    assert (about.license, about.note) == ("Apache-2.0", "N")
    assert get_weights("inception_v3_fid.pytorch_fid").metadata().accuracy is None


def test_a_file_is_fetched_once(
    server: Server, one: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert one.cached(tmp_path) == "no"
    path = fetch(one, tmp_path)
    assert path == tmp_path / "weights" / "net.test" / "weights.bin"
    assert path.read_bytes() == CONTENT
    assert one.cached(tmp_path) == "yes"
    assert f"fetching {server.url} (2.1 MB) to {path}\n" == capsys.readouterr().err
    assert fetch(one, tmp_path) == path
    assert server.asked == [None]
    assert sorted(each.name for each in path.parent.iterdir()) == ["weights.bin", "weights.bin.sha256"]
    subprocess.run(["sha256sum", "--check", "--strict", "weights.bin.sha256"], cwd=path.parent, check=True)


def test_the_folder_can_be_named_in_the_environment(
    one: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    assert fetch(one) == tmp_path / "home" / "weights" / "net.test" / "weights.bin"
    monkeypatch.delenv("INCEPTORCH_HOME")
    assert one.path() == Path.home() / ".cache" / "inceptorch" / "weights" / "net.test" / "weights.bin"


def test_a_part_is_gone_on_with(server: Server, one: Published, tmp_path: Path) -> None:
    part(one, tmp_path, CONTENT[:1000])
    assert one.cached(tmp_path) == "in part"
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_whole_part_is_not_fetched_again(server: Server, one: Published, tmp_path: Path) -> None:
    part(one, tmp_path, CONTENT)
    assert fetch(replace(one, bytes=len(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert server.asked == []


def test_a_server_without_ranges_begins_again(server: Server, one: Published, tmp_path: Path) -> None:
    server.ranges = False
    part(one, tmp_path, CONTENT[:1000])
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_another_part_than_was_asked_for_is_not_put_behind_it(server: Server, one: Published, tmp_path: Path) -> None:
    server.begins_early = 10
    part(one, tmp_path, CONTENT[:1000])
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_part_that_is_too_long_is_begun_again(server: Server, one: Published, tmp_path: Path) -> None:
    part(one, tmp_path, CONTENT + b"more")
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_cut_connection_is_a_sentence_and_the_next_fetch_goes_on(
    server: Server, one: Published, tmp_path: Path
) -> None:
    server.cut = CHUNK + 5000
    with pytest.raises(
        BundleError, match=f"the connection ended after {server.cut} of {len(CONTENT)} bytes. Try again"
    ):
        fetch(one, tmp_path)
    assert one.cached(tmp_path) == "in part"
    server.cut = None
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={CHUNK + 5000}-"]


@pytest.mark.parametrize("digits", [64, 8])
def test_what_is_not_the_published_file_is_deleted(server: Server, one: Published, tmp_path: Path, digits: int) -> None:
    assert one.hash is not None
    one = replace(one, hash=replace(one.hash, digits=one.hash.digits[:digits]))
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(
        BundleError, match=f"The download from {server.url} is not the published file, and was deleted: its"
    ):
        fetch(one, tmp_path)
    assert list(one.path(tmp_path).parent.iterdir()) == []
    server.content = CONTENT
    assert fetch(one, tmp_path).read_bytes() == CONTENT


def test_other_hashes_than_sha256_are_verified(server: Server, one: Published, tmp_path: Path) -> None:
    one = replace(one, hash=Hash("sha1", hashlib.sha1(CONTENT).hexdigest(), "these tests"))
    path = fetch(one, tmp_path)
    assert hashlib.sha256(CONTENT).hexdigest() in path.with_name("weights.bin.sha256").read_text()
    path.unlink()
    server.content = CONTENT[1:]
    with pytest.raises(BundleError, match="its sha1 is"):
        fetch(one, tmp_path)


def test_without_a_published_hash_it_is_said_and_nothing_is_put_together(
    server: Server, one: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(one, hash=None)
    part(one, tmp_path, b"of another version")
    path = fetch(one, tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert f"{path} could not be verified" in capsys.readouterr().err
    assert sha256 in path.with_name("weights.bin.sha256").read_text()
    fetch(one, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_file_put_there_by_hand_is_verified_once(server: Server, one: Published, tmp_path: Path) -> None:
    path = one.path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert one.cached(tmp_path) == "not verified yet"
    assert fetch(one, tmp_path) == path
    assert one.cached(tmp_path) == "yes"
    stat = path.stat()
    path.write_bytes(b"?" + CONTENT[1:])  # unseen, as size and time are the same: it is not read again
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fetch(one, tmp_path) == path
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(
        BundleError, match=f"Cannot use {path}: it is not the published file: its sha256 is .*Delete it"
    ):
        fetch(one, tmp_path)
    assert path.exists()
    path.write_bytes(CONTENT)
    fetch(one, tmp_path)
    assert one.cached(tmp_path) == "yes"
    assert replace(one, hash=Hash("sha256", "0" * 8, "another table")).cached(tmp_path) == "not verified yet"
    assert server.asked == []


def test_without_a_network_one_sentence_says_what_to_do(one: Published, tmp_path: Path) -> None:
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        one = replace(one, url=f"http://127.0.0.1:{closed.getsockname()[1]}/weights.bin")
        with pytest.raises(BundleError) as caught:
            fetch(one, tmp_path)
    assert str(caught.value) == (
        f"{one.url} could not be downloaded: connection refused. Try again later, or put the file at "
        f"{one.path(tmp_path)}, where it is verified."
    )


def test_what_the_server_refuses_is_said(server: Server, one: Published, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(BundleError, match=f"{one.url} could not be downloaded: the server answers 404 Not Found. Try"):
        fetch(one, tmp_path)
    with pytest.raises(BundleError, match="only http and https are fetched"):
        fetch(replace(one, url=(tmp_path / "x").as_uri()), tmp_path)


def test_a_folder_that_cannot_be_used_is_a_sentence(one: Published, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(BundleError, match=r"Cannot write .*weights.bin: .*Set INCEPTORCH_HOME to another folder"):
        fetch(one, tmp_path)


def test_a_full_disk_is_a_sentence_and_the_next_fetch_goes_on(server: Server, one: Published, tmp_path: Path) -> None:
    import resource

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, CHUNK))

    done = subprocess.run(command(one, tmp_path), capture_output=True, text=True, timeout=60, preexec_fn=limited)
    path = one.path(tmp_path)
    assert done.stdout == f"Cannot write {path}: file too large. Set INCEPTORCH_HOME to another folder.\n"
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={CHUNK}-"]


def test_ctrl_c_leaves_the_part_for_the_next_time(server: Server, one: Published, tmp_path: Path) -> None:
    server.cut, server.stalls = 2 * CHUNK, True
    begun = one.path(tmp_path).with_name("weights.bin.part")
    with subprocess.Popen(command(one, tmp_path), stderr=subprocess.DEVNULL, preexec_fn=hear_ctrl_c) as process:
        deadline = time.monotonic() + 60
        while not begun.exists() or begun.stat().st_size < CHUNK:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
    server.go_on.set()
    server.cut, server.stalls = None, False
    have = begun.stat().st_size
    assert CHUNK <= have <= 2 * CHUNK
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


def test_the_table_is_read_without_torch() -> None:
    check = "import sys, inceptorch.classifier.published as p; p.published(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_weights_fetches(server: Server, one: Published, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(published(), one.name, one)
    result = invoke("weights", one.name, "--fetch", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["cached"] == "yes"
    assert one.path(home).read_bytes() == CONTENT
    assert "without a name" in str(invoke("weights", "--fetch").exception)
    assert "did you mean" in str(invoke("weights", "googlenet.bvl").exception)
