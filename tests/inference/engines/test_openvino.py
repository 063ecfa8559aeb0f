"""OpenVINO computes what torch does, from many threads."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.zoo import get_network
from tests.helpers import classifier_of
from tests.inference.engines.helpers import differences


@pytest.mark.parametrize("name", ["googlenet_small", "inception_v3_small"])
def test_openvino_in_fp32_and_bf16(name: str, tmp_path: Path) -> None:
    classifier_of(get_network(name), size=32).save(tmp_path / "bundle")
    ours = open_engine(tmp_path / "bundle", "torch")
    crops = random_images(32, 3)
    probability, maps = differences(ours, open_engine(tmp_path / "bundle", "openvino", "fp32"), crops)
    assert probability < 1e-5
    assert maps < 1e-4
    rough = open_engine(tmp_path / "bundle", "openvino", "bf16").run(crops, maps=True).probabilities
    assert np.abs(rough - ours.run(crops, maps=True).probabilities).max() < 0.05


def test_first_calls_from_many_threads_at_once(bundle: Path) -> None:
    """OpenVINO's binding sets itself up in its first call, and threads that made it together waited for ever."""
    script = """
import sys, threading
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import random_images
opened = open_engine(sys.argv[1], "openvino", streams=2)
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)
def first():
    together.wait()
    opened.logits(random_images(opened.config.preprocessing.size, 1))
threads = [threading.Thread(target=first) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script, bundle], check=True, timeout=60)


def test_signals_come_when_engines_are_gone(bundle: Path) -> None:
    """OpenVINO's own setting up and taking down of stacks for signals made SIGSEGV of them."""
    script = """
import gc, signal, sys
from inceptorch.inference.engines import open_engine
opened = [open_engine(sys.argv[1], "openvino") for _ in range(3)]
while opened:
    del opened[0]
    gc.collect()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
signal.raise_signal(signal.SIGTERM)
print(len(heard))
"""
    done = subprocess.run([sys.executable, "-c", script, bundle], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
