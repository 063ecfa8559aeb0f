"""Fingerprints tell engines apart."""

from pathlib import Path

from inceptorch.inference.engines import fingerprint, open_engine
from inceptorch.inference.engines.factory import graph_of, open_graph
from tests.conftest import TINY
from tests.helpers import classifier_of


def test_identity_tells_weights_and_precision_apart(bundle: Path, tmp_path: Path) -> None:
    graph = graph_of(bundle)
    file = tmp_path / "a.onnx"
    file.write_bytes(graph)
    one, same = open_graph(graph, "g", "openvino"), open_engine(file, "onnxruntime")
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(open_graph(graph, "g", "openvino", "bf16"))
    other = classifier_of(TINY, classes=6)
    other.save(tmp_path / "other")
    assert fingerprint(open_engine(tmp_path / "other", "torch")) != fingerprint(open_engine(bundle, "torch"))
