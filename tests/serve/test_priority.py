import sys
from pathlib import Path

import pytest

from tests.serve.helpers import image, process


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="niceness is of threads on Linux alone")
def test_engine_and_decoder_threads_have_lower_priority(exported: Path) -> None:
    with process(exported) as (child, server):
        assert server.predict(("a", image())).status == 200
        nice = {
            int(task.name): int((task / "stat").read_text().rpartition(")")[2].split()[16])
            for task in Path(f"/proc/{child.pid}/task").iterdir()
        }
        own = nice.pop(child.pid)
        behind = {value - own for value in nice.values() if value > own}
        assert behind == {min(5, 19 - own), min(15, 19 - own)}  # what computes, and what decodes
