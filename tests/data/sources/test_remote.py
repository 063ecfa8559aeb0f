"""Shards by URL, from a server that answers byte ranges."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml

from inceptorch.data import find_split, find_train_and_val, fingerprint, without_unreadable
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.loader import load_batches
from inceptorch.data.sampler import epoch_batches
from inceptorch.data.sources import remote
from inceptorch.data.write_shards import write_shards
from inceptorch.errors import DataError, ImageError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.training import resume, train
from inceptorch.training.recipe import Recipe
from inceptorch.training.tensorboard import TensorBoard
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

pytest.importorskip("aiohttp")
CLASSES = tuple(COLORS)
QUIET = Progress(quiet=True)


class Ranges(BaseHTTPRequestHandler):
    """Files of a folder, whole or by ranges, with the faults that a test asks for."""

    protocol_version = "HTTP/1.1"

    def __init__(self, server: "Server", *args: object):
        self.of = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.of.folder / self.path.rpartition("/")[2]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.of.requests.append((path.name, wanted is not None))
        if self.of.faults:
            fault = self.of.faults.pop()
            if fault == "break":  # in the middle of a file
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"x")
                self.close_connection = True
                return
            self.send_error(int(fault))
            return
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        size = len(data)
        if wanted and self.of.ranges:
            start, end = int(wanted[1]), min(int(wanted[2]) + 1, size)
            if start >= size:
                self.send_error(416)
                return
            data = data[start:end]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server:
    def __init__(self, folder: Path):
        self.folder = folder
        self.requests: list[tuple[str, bool]] = []
        self.faults: list[str] = []
        self.ranges = True
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, self))
        self.root = f"http://127.0.0.1:{self.http.server_port}/shards"
        self.url = f"{self.root}/train-{{000000..{len(list(folder.glob('train-*.tar'))) - 1:06}}}.tar"


@pytest.fixture
def server(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The images as shards, about seven of them to train on, behind a URL."""
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    write_shards(images, tmp_path / "shards", megabytes=0.02, progress=QUIET)
    found = Server(tmp_path / "shards")
    thread = threading.Thread(target=found.http.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.http.shutdown()
    found.http.server_close()
    thread.join()


def test_shards_at_a_url_are_those_of_the_folder(server: Server) -> None:
    for at_url, local in zip(
        find_train_and_val(server.url, 0.2, 0), find_train_and_val(server.folder, 0.2, 0), strict=True
    ):
        assert (at_url.name, at_url.classes, at_url.paths) == (local.name, local.classes, local.paths)
        assert at_url.labels.tolist() == local.labels.tolist()
        assert at_url.shards is not None
        assert local.shards is not None
        assert at_url.shards.tolist() == local.shards.tolist()
        assert fingerprint(at_url) == fingerprint(local)
        assert [at_url.read(index) for index in range(len(local))] == [local.read(index) for index in range(len(local))]
        assert without_unreadable(at_url, QUIET) == (at_url, [])
    assert all(ranged for name, ranged in server.requests if name.endswith(".tar"))
    assert at_url.file(0) == f"{server.root}/{at_url.paths[0]}"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_folder_with_any_number_of_workers(
    server: Server, recipe: Recipe, workers: int
) -> None:
    at_url, local = (find_split(data, CLASSES, "train") for data in (server.url, server.folder))
    plan = [batch.tolist() for batch in epoch_batches(at_url, 8, 3, 1, shuffle="shards")]
    assert plan == [batch.tolist() for batch in epoch_batches(local, 8, 3, 1, shuffle="shards")]
    found, expected = (
        load_batches(AugmentedDataset(split, default_preprocessing(16), recipe.augmentation, seed=1), plan, count)
        for split, count in ((at_url, workers), (local, 0))
    )
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(*each) for each in zip(one, other, strict=True))


@pytest.mark.slow
def test_a_run_goes_on_with_the_url_it_was_given(
    server: Server, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    weights = []
    for data, name in ((server.folder, "local"), (server.url, "url")):
        with monkeypatch.context() as patch:
            patch.setattr(TensorBoard, "on_validation", interrupt)  # after the first epoch's checkpoint
            with pytest.raises(KeyboardInterrupt):
                train(data, out=tmp_path / name, recipe=recipe, progress=QUIET)
        assert resume(tmp_path / name, QUIET, data=data).epochs == 3
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert yaml.safe_load((tmp_path / "url" / "run.yaml").read_text())["data"] == server.url


def test_some_of_the_shards_come_with_all_that_are_val(server: Server) -> None:
    some = f"{server.root}/train-{{000001..000002}}.tar"
    train_split, val = find_train_and_val(some, 0.2, 0)
    assert {path.partition("/")[0] for path in train_split.paths} == {"train-000001.tar", "train-000002.tar"}
    assert len(val) == 12
    one = find_split(f"{server.root}/train-000001.tar", CLASSES, "train")
    assert {path.partition("/")[0] for path in one.paths} == {"train-000001.tar"}
    assert find_split(f"{server.root}/val-000000.tar", CLASSES).name == "val"


@pytest.mark.parametrize("fault", ["break", "503", "429"])
def test_a_passing_fault_is_tried_again_and_no_more_than_that(server: Server, fault: str) -> None:
    server.faults = [fault] * (remote.ATTEMPTS - 1)
    split = find_split(server.url, CLASSES, "train")
    expected = split.read(4)
    server.faults = [fault] * (remote.ATTEMPTS - 1)
    assert split.read(4) == expected
    server.requests.clear()
    server.faults = [fault] * 9
    with pytest.raises(DataError, match=f"^Cannot read {server.root}/index.json: .*Put the index"):
        find_split(server.url, CLASSES, "train")
    assert len(server.requests) == remote.ATTEMPTS


def test_faults_of_a_server_are_one_sentence(server: Server) -> None:
    def refused(data: str, sentence: str) -> None:
        with pytest.raises(DataError, match=sentence) as caught:
            find_split(data, CLASSES, "train")
        assert "\n" not in str(caught.value)

    refused(f"{server.root}/train-{{000000..999999}}.tar", r"does not list train-0000\d\d.tar. Correct the range")
    refused(f"{server.root}/train.zip", "it names no shards. Try https://host/train-{000000..000099}.tar")
    refused(f"{server.root}/train-{{3..1}}.tar", "it names no shards")
    refused("nowhere://host/train-{0..1}.tar", "Cannot read nowhere://host/index.json: Protocol not known: nowhere")
    refused(f"simplecache::{server.url}", "chained URLs are not supported")
    refused("http://127.0.0.1:9/train-{0..1}.tar", "^Cannot read http://127.0.0.1:9/index.json: .*connect")
    server.ranges = False
    refused(server.url, "train-000000.tar: the server ignores byte ranges")
    server.ranges = True
    server.faults = ["403"]
    refused(server.url, "index.json: the server answers 403")
    shard = server.folder / "train-000002.tar"
    content = shard.read_bytes()
    for cut in (content[:-512], content[:3000], content[:3000].ljust(len(content), b"x")):
        shard.write_bytes(cut)
        refused(server.url, "train-000002.tar: it is cut off, or not the one in index.json")
    shard.unlink()
    refused(server.url, "train-000002.tar: not found. Check the server")
    index = json.loads((server.folder / "index.json").read_text())
    first = index["shards"][0]

    def indexed(sentence: str, **values: object) -> None:
        index["shards"][0] = first | values
        (server.folder / "index.json").write_text(json.dumps(index))
        refused(server.url, sentence)

    indexed("the positions of train-000000.tar do not fit", starts=[-1, *first["starts"][1:]])
    indexed("the positions of train-000000.tar do not fit", sizes=[first["bytes"], *first["sizes"][1:]])
    indexed("the positions of train-000000.tar do not fit", starts=[0])
    indexed("the names of train-000000.tar are not sorted", names=first["names"][::-1])
    indexed("x/../y.tar is not a file name", file="x/../y.tar")
    indexed("index.json does not say where images lie. Try `inceptorch shards` again", names=[], starts=[], sizes=[])
    (server.folder / "index.json").unlink()
    refused(server.url, "index.json: not found. Put the index of `inceptorch shards` there")


def test_a_image_that_cannot_be_read_any_more_is_named(server: Server, recipe: Recipe) -> None:
    split = find_split(server.url, CLASSES, "train")
    (server.folder / "train-000000.tar").write_bytes(b"short")
    data = AugmentedDataset(split, default_preprocessing(16), recipe.augmentation, seed=0)
    with pytest.raises(ImageError, match=f"^{split.file(0)} could not be read: its shard has become shorter"):
        data[0]


def test_without_the_library_a_sentence_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from inceptorch.cli import main; main()"
    words = ["check", "http://127.0.0.1:9/train-{0..1}.tar"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2
    assert (
        "Cannot do this without aiohttp, which is not installed. Try: pip install 'inceptorch[remote]'" in done.stderr
    )


def test_a_runs_file_fetches_nothing_until_its_url_is_typed_once_more(
    server: Server, recipe: Recipe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(server.folder, out=run, recipe=recipe.replace(epochs=1), progress=QUIET)
    config = yaml.safe_load((run / "run.yaml").read_text())
    (run / "run.yaml").write_text(yaml.safe_dump({**config, "data": server.url}))
    server.requests.clear()
    with pytest.raises(RunError, match=r"^Cannot fetch http.*nobody typed. If you trust it, try: ") as no:
        resume(run, QUIET)
    assert f"inceptorch train '{server.url}' --resume {run}" in str(no.value)
    with pytest.raises(RunError, match="it began with http"):
        resume(run, QUIET, data=server.folder)
    assert server.requests == []
    assert resume(run, QUIET, data=server.url).epochs == 1
