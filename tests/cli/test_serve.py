import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs inceptorch[serve]")

from inceptorch.cli import main


def test_startup_errors_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exported, bundle = tmp_path / "tiny.onnx", tmp_path / "tiny"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for args, message in (
            ([exported, "--port", port], "address already in use. Try another --host or --port"),
            ([exported, "--port", 0, "--host", "no.such.host.invalid"], "Try another --host"),
            ([exported, bundle, "--port", 0], "Cannot serve two models named 'tiny'"),
            ([exported, "--port", 0, "--queue-size", 8], "Raise --queue-size"),
            ([exported, "--port", 0, "--token", ""], "Cannot serve with an empty token"),
            ([exported, "--port", 0], "tiny.onnx: it does not exist"),
            ([tmp_path / "a b.onnx", "--port", 0], "NAME="),
            ([exported, "--queue", 8], "Try --queue-size."),
            ([exported, "--max-files=8"], "Try --max-images."),
            ([exported, "--streams", 2], "Try --concurrency."),
        ):
            monkeypatch.setattr(sys, "argv", ["inceptorch", "serve", *map(str, args)])
            with pytest.raises(SystemExit) as stop:
                main()
            output = capsys.readouterr()
            assert (stop.value.code, output.out) == (2, "")
            assert message in output.err
            assert len(output.err.splitlines()) == 1
