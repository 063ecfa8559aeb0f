"""Detectors are trained on maps that were computed once as on the images themselves."""

import csv
import json
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import inceptorch
from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation.boxes import BoxEvaluation
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training import map_cache
from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.training.setup import Overrides, TrainRequest, new_run, setup
from tests.helpers import invoke
from tests.training.helpers import QUIET, Stop, digest

BODY = {"a": Conv(8, 3, 2), "b": Conv(16, 3, 2), "c": Conv(32, 3, 2), "d": Conv(32, 3, 2)}
NET = NetworkSpec("four", "four convolutions", "a test", 64, BODY, {"avgpool": GlobalAverage()})
WORLD = DistributedContext(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright rectangles and dark ones on gray, in Pascal VOC's format, divided into train and val."""
    root, random = tmp_path_factory.mktemp("boxes"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        (root / split).mkdir()
        for number in range(count):
            image, objects = np.full((48, 64, 3), 128, np.uint8), ""
            for place in range(1 + number % 2):
                left, top = int(random.integers(0, 16)) + 32 * place, int(random.integers(0, 30))
                name, value = (("bright", 230), ("dark", 20))[(number + place) % 2]
                image[top : top + 16, left : left + 14] = value
                objects += f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
                objects += f"<xmax>{left + 14}</xmax><ymax>{top + 16}</ymax></bndbox></object>"
            Image.fromarray(image).save(root / split / f"{number}.png")
            size = "<size><width>64</width><height>48</height></size>"
            text = f"<annotation><filename>{number}.png</filename>{size}{objects}</annotation>"
            (root / split / f"{number}.xml").write_text(text)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "bundle"
    Classifier.of(Model(NET, 2, size=64), default_preprocessing(64), ["x", "y"]).save(folder)
    return folder


@pytest.fixture
def recipe() -> Recipe:
    return RECIPES["boxes-head"].replace(
        epochs=2, batch_size=4, size=64, cached_versions=2, precision="fp32", checkpoint_every=1
    )


def test_rows_are_the_maps_of_the_images(boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = new_run(TrainRequest(boxes, tmp_path / "run", weights=weights, recipe=recipe), WORLD)
    context = setup(run, Overrides(), QUIET)
    context.run.begin(context.train, context.val)
    cache = map_cache.cache_maps(context, WORLD, QUIET)
    assert cache is not None
    assert (len(cache.train), len(cache.val)) == (12, 6)
    model = context.classifier.model
    assert isinstance(model, Detector)
    data = context.task.dataset(
        context.train, context.classifier.preprocessing, recipe.augmentation, context.run.seed, None
    )
    for epoch, version in ((0, 1), (1, 0)):  # of image 5
        cache.train.epoch = epoch
        rows, targets, indices = cache.train.__getitems__([5])
        assert indices.tolist() == [5]
        data.epoch, data.augment = version, version > 0
        images, expected, _ = data.__getitems__([5])
        torch.testing.assert_close(targets, expected)
        with torch.no_grad():
            maps = model.forward_maps(context.classifier.prepare(images.permute(0, 2, 3, 1).numpy()))
        torch.testing.assert_close(rows.float(), model.pack(maps), atol=2e-3, rtol=2e-3)


def test_a_detector_is_trained_evaluated_and_used(boxes: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", boxes, "--weights", weights, "--out", out, "--size", 64, "--epochs", 60, "--json"]
    settings = ["batch_size=4", "lr=0.01", "hflip=0", "zoom=[1,1]", "ema_decay=0", "precision=fp32"]
    trained = invoke(*words, "--recipe", "boxes", *(word for each in settings for word in ("--set", each)))
    assert trained.exit_code == 0, trained.output
    result = json.loads(trained.stdout)
    assert set(result) == {"run", "epochs", "map50", "seconds"}
    assert result["map50"] > 0.5  # rectangles are easy
    with open(out / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["map50"]) for row in rows][-1] == pytest.approx(result["map50"], rel=1e-4)
    assert "mAP at IoU 0.5" in (out / "report.html").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["label_names"] == ["bright", "dark"]
    assert (config["detection"]["width"], config["detection"]["height"]) == (64, 64)
    assert config["metadata"]["map50"] == pytest.approx(result["map50"], abs=1e-4)

    scored = json.loads(invoke("eval", out, boxes, "--split", "val", "--protocol", "voc", "--json").stdout)
    assert scored["n"] == 6
    assert scored["map50"] == pytest.approx(result["map50"], abs=1e-6)
    assert set(scored["per_class"]) == {"bright", "dark"}
    assert scored["skipped"] == []
    coco = json.loads(invoke("eval", out, boxes, "--split", "val", "--protocol", "coco", "--json").stdout)
    assert 0 < coco["map"] < coco["map50"]

    found = json.loads(invoke("predict", out, boxes / "val" / "0.png", "--json").stdout)[0]
    assert found["boxes"]
    assert set(found["boxes"][0]) == {"label", "index", "score", "box"}


def test_the_body_stays_and_the_maps_are_cleared(boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path) -> None:
    result = inceptorch.train(boxes, out=tmp_path / "run", weights=weights, recipe=recipe, progress=QUIET)
    with pytest.raises(AttributeError, match="There is no top1 of a detector, which has scores: map50"):
        _ = result.top1
    assert isinstance(result.evaluation, BoxEvaluation)
    before, after = inceptorch.load(weights).model.state_dict(), result.classifier.model.state_dict()
    body = [name for name in after if name.startswith("body.")]
    assert all(torch.equal(before[name], after[name]) for name in body)
    assert len(body) == 8
    assert list((tmp_path / "run" / "checkpoints").glob("maps*")) == []
    assert inceptorch.load(tmp_path / "run").config.metadata.score_threshold is not None


@pytest.mark.parametrize("frozen", [True, False])
def test_a_run_stopped_anywhere_goes_on_to_the_same_weights(
    boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, frozen: bool
) -> None:
    recipe = recipe if frozen else recipe.replace(freeze=0, layer_decay=0.9)
    whole = inceptorch.train(boxes, out=tmp_path / "whole", weights=weights, recipe=recipe, progress=QUIET)
    for steps in (2, 4):
        stopped_after(steps, kind=torch.optim.AdamW)  # type: ignore[operator]
        with pytest.raises(Stop):
            inceptorch.train(boxes, out=tmp_path / f"{steps}", weights=weights, recipe=recipe, progress=QUIET)
        inceptorch.resume(tmp_path / f"{steps}", QUIET)
        assert digest(tmp_path / f"{steps}") == digest(whole.run)


def test_maps_that_are_too_large_are_not_kept(
    boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_cache, "MAX_BYTES", 1000)
    run = inceptorch.train(boxes, out=tmp_path / "run", weights=weights, recipe=recipe, progress=QUIET).run
    assert "are not kept" in (run / "log.txt").read_text()


def test_maps_that_lie_there_need_no_more_room(
    boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(TrainRequest(boxes, tmp_path / "run", weights=weights, recipe=recipe), WORLD)
    context = setup(run, Overrides(), QUIET)
    run.begin(context.train, context.val)
    assert map_cache.cache_maps(context, WORLD, QUIET) is not None
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert map_cache.cache_maps(context, WORLD, QUIET) is not None
    (run.checkpoint.parent / "maps-val.npy").unlink()
    assert map_cache.cache_maps(context, WORLD, QUIET) is None


def test_a_detector_is_trained_further_from_a_detector(
    boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path
) -> None:
    first = inceptorch.train(boxes, out=tmp_path / "first", weights=weights, recipe=recipe, progress=QUIET)
    none = recipe.replace(lr=1e-12, epochs=1, ema_decay=0)
    again = inceptorch.train(boxes, out=tmp_path / "again", weights=first.run, recipe=none, progress=QUIET)
    before, after = first.classifier.model.state_dict(), again.classifier.model.state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_ctrl_c_while_maps_are_computed_leaves_nothing_half_written(
    boxes: Path, weights: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = inceptorch.train(boxes, out=tmp_path / "whole", weights=weights, recipe=recipe, progress=QUIET)
    forward, calls = Detector.forward_maps, [0]

    def interrupted(self: Detector, x: torch.Tensor) -> list[torch.Tensor]:
        calls[0] += 1
        if calls[0] == 3:  # after the sample and the validation images
            signal.raise_signal(signal.SIGINT)
        return forward(self, x)

    monkeypatch.setattr(Detector, "forward_maps", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(boxes, out=tmp_path / "run", weights=weights, recipe=recipe, progress=QUIET)
    signal.signal(signal.SIGINT, before)
    left = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if "maps" in path.name)
    assert left == ["maps-val.npy"]
    monkeypatch.setattr(Detector, "forward_maps", forward)
    inceptorch.resume(tmp_path / "run", QUIET)
    assert digest(tmp_path / "run") == digest(whole.run)
