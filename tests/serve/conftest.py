"""A small exported network, and a server with it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.models.module import Model
from tests.conftest import TINY

if TYPE_CHECKING:
    from tests.serve.helpers import Server

# The tests of the server need inceptorch[serve] and ONNX Runtime.
collect_ignore_glob = [] if find_spec("fastapi") and find_spec("onnxruntime") else ["test_*.py"]

CLASSES = ["ant", "bee", "cat"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("served") / "tiny"
    Classifier.of(Model(TINY, len(CLASSES)), default_preprocessing(16), CLASSES).save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(bundle: Path) -> Path:
    path = bundle.with_name("tiny.onnx")
    path.write_bytes(graph_of(bundle))
    return path


@pytest.fixture
def engine(exported: Path) -> Engine:
    return open_engine(exported, "onnxruntime", threads=1, batch_size=4)


@pytest.fixture(scope="module")
def server(exported: Path) -> Iterator[Server]:
    """A server for tests that do not change it."""
    from tests.serve.helpers import running

    with running({"tiny": open_engine(exported, "onnxruntime", threads=1, batch_size=4)}) as server:
        yield server
