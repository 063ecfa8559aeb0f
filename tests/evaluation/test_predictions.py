"""Files of predictions are resumed, checked and combined."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from inceptorch.classifier import Classifier
from inceptorch.errors import ProtocolError
from inceptorch.evaluation import evaluate
from inceptorch.inference.engines import EngineOutput
from inceptorch.inference.engines.torch import Torch
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


def test_an_interrupted_evaluating_goes_on(
    members: list[Classifier], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inceptorch.evaluation.predictions.CHUNK", 50)
    whole = evaluate(
        members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=tmp_path / "whole"
    )
    seen = 0

    class Stop(Exception):
        pass

    run = Torch.run

    def counting(self: Torch, crops: np.ndarray) -> EngineOutput:
        nonlocal seen
        seen += 1
        if seen == 16:
            raise Stop
        return run(self, crops)

    monkeypatch.setattr(Torch, "run", counting)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    kept = tmp_path / "kept"
    with pytest.raises(Stop):
        evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    assert not list(kept.glob("*.safetensors"))
    seen = 100
    again = evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    batches = 36 * 2  # ten crops of each image in batches of eight
    assert 0 < seen - 100 < batches - 8
    assert again.to_dict() == whole.to_dict()
    (one,), (other,) = (list((tmp_path / name).iterdir()) for name in ("whole", "kept"))
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    seen = 0
    evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    assert seen == 0


def test_damaged_predictions_are_made_again_and_that_is_said(
    members: list[Classifier], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"split": "val", "save_predictions": tmp_path / "kept"}
    before = evaluate(members[0], images, **words)  # type: ignore[arg-type]
    (file,) = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-10], b"", b"\xff" * 100):
        file.write_bytes(damaged)
        with pytest.raises(ProtocolError) as caught:
            evaluate(file, progress=QUIET)
        assert str(caught.value).endswith("or is damaged. `inceptorch eval --save-predictions` writes it again.")
        assert evaluate(members[0], images, **words).to_dict() == before.to_dict()  # type: ignore[arg-type]
        assert f"{file} is damaged: its predictions are computed again" in capsys.readouterr().err
        assert file.read_bytes() == whole


def test_images_that_changed_are_evaluated_again(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    before = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=kept)
    image = images / "val" / "red" / "00.png"
    stat = image.stat()
    data = bytearray(image.read_bytes())
    Image.new("RGB", (20, 24), (40, 60, 200)).save(image)
    image.write_bytes(image.read_bytes().ljust(len(data), b"\0"))  # as many bytes as before
    assert image.stat().st_size == stat.st_size
    after = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=kept)
    assert len(list(kept.glob("*.safetensors"))) == 2
    assert after.loss != before.loss


def test_predictions_of_the_format_before_are_read(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    before = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    with safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        (held,) = map(json.loads, opened.metadata().values())
    about = {"pictures" if key == "images" else key: value for key, value in held["about"].items()}
    header = {"format": "inceptorch predictions 1", "name": held["name"], "about": json.dumps(about)}
    save_file(tensors, tmp_path / "old.safetensors", header)
    assert evaluate(tmp_path / "old.safetensors", progress=QUIET).to_dict() == before.to_dict()
