"""A Ray cluster predicts what one machine does."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from inceptorch.errors import RunError
from tests.helpers import invoke
from tests.inference.helpers import entries_of, rows_of


def test_a_cluster_answers_as_one_machine_does_though_a_machine_fails(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'inceptorch[ray]'")
    from ray.cluster_utils import Cluster

    from inceptorch.inference import ray as cluster

    predict_chunk, working = cluster._predict_chunk, tmp_path / "working"

    def slowly(*words: Any) -> Any:
        (working / ray.get_runtime_context().get_node_id()).touch()
        time.sleep(1)
        return predict_chunk(*words)

    def fail(machine: Any) -> None:  # in the middle of its first task
        while not (working / machine.node_id).exists():
            time.sleep(0.005)
        machines.remove_node(machine, allow_graceful=False)

    working.mkdir()
    monkeypatch.setattr(cluster, "CHUNK", 8)
    monkeypatch.setattr(cluster, "_predict_chunk", slowly)
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = machines.add_node(num_cpus=1)
        machines.wait_for_nodes()
        failing = threading.Thread(target=fail, args=[second], daemon=True)
        failing.start()
        words = [bundle, *[folder] * 2, "--engine", "onnxruntime"]
        words_of_ray = ("--ray", machines.address, "--out", tmp_path / "a.jsonl", "--json")
        result = invoke("predict", *words, *words_of_ray)
        answer = {"out": str(tmp_path / "a.jsonl"), "images": 50, "failed": 2}
        assert json.loads(result.stdout) == answer, (result.output, result.exception)
        assert not failing.is_alive()
        assert rows_of(tmp_path / "a.jsonl") == entries_of(*words)
    finally:
        machines.shutdown()


def test_a_cluster_that_is_not_there_is_one_sentence(bundle: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'inceptorch[ray]'")
    result = invoke("predict", bundle, folder, "--ray", "no address", "--out", tmp_path / "a.csv")
    assert isinstance(result.exception, RunError), result.output
    assert "There is no Ray cluster at 'no address'" in str(result.exception)
