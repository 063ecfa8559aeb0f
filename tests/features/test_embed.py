"""Embeddings and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, DataError, RunError, TableError
from inceptorch.features.embed import embed, extraction_of, read_embeddings
from inceptorch.features.extractors import TorchExtractor
from inceptorch.inference.engines.fingerprint import fingerprint
from inceptorch.inference.engines.torch import Torch
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of, detector

QUIET = Progress(quiet=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny() -> Classifier:
    return classifier_of(get_network("googlenet_tiny"), classes=3)


def expected(classifier: Classifier, files: list[str]) -> np.ndarray:
    crops = [classifier.preprocessing.apply(file) for file in files]
    model = classifier.model
    found = classifier.logits(crops, lambda x: model.forward_head(model.forward_features(x), pre_logits=True))
    return found.numpy()


def test_an_embedding_is_what_the_linear_layer_receives(tiny: Classifier, images: Path) -> None:
    found = embed(tiny, images, progress=QUIET)
    assert len(found) == 48  # all splits
    assert sorted({str(label) for label in found.labels}) == ["blue", "green", "red"]
    assert all(f"/{label}/" in file for file, label in zip(found.files, found.labels, strict=True))
    vectors = expected(tiny, found.files)
    assert vectors.shape == (48, found.about["dim"])
    np.testing.assert_allclose(found.vectors, vectors, rtol=0, atol=1e-4 * np.abs(vectors).max())


def test_a_layer_has_the_averages_of_its_maps(tiny: Classifier, images: Path) -> None:
    layer = list(tiny.model.net.body)[2]
    found = embed(tiny, images / "val", layer=layer, progress=QUIET)
    x = tiny.prepare([tiny.preprocessing.apply(file) for file in found.files])
    with torch.inference_mode():
        (maps,) = tiny.model.forward_intermediates(x, [layer], intermediates_only=True)
    np.testing.assert_allclose(found.vectors, maps.mean((2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_files_come_back_as_they_were(tiny: Classifier, images: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"all{suffix}"
    made = embed(tiny, images, out=out, progress=QUIET)
    read = read_embeddings(out)
    assert (read.files, read.labels, read.about) == (made.files, made.labels, made.about)
    np.testing.assert_array_equal(read.vectors, made.vectors)
    if suffix == ".parquet":
        table = pq.read_table(out)
        assert table.column_names == ["file", "label", "embedding"]
        np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), made.vectors)
    else:
        np.testing.assert_array_equal(np.load(out), made.vectors)


def test_images_without_classes_have_no_label_and_unreadable_ones_are_named(
    tiny: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flat").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (80 * number, 0, 0)).save(tmp_path / "flat" / f"{number}.png")
    (tmp_path / "flat" / "1.png").write_bytes(b"no image")
    found = embed(tiny, tmp_path / "flat", out=tmp_path / "flat.parquet", progress=Progress())
    assert "has no classes: its images are embedded without labels" in capsys.readouterr().err
    assert [Path(file).name for file in found.files] == ["0.png", "2.png"]
    assert found.labels == [None, None]
    assert [Path(one["file"]).name for one in found.skipped] == ["1.png"]
    assert read_embeddings(tmp_path / "flat.parquet").labels == [None, None]
    np.testing.assert_allclose(found.vectors, expected(tiny, found.files), rtol=0, atol=1e-3)


def test_what_cannot_be_embedded_is_refused_before_anything_is_written(
    tiny: Classifier, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no image")
    for model, data, options, error, sentence in (
        (
            tiny,
            images,
            {"out": tmp_path / "a.txt"},
            RunError,
            r"Cannot write .*a.txt: its name must end in .parquet or .npy",
        ),
        (tiny, images, {"layer": "9z"}, TableError, "9z"),
        (tiny, images, {"layer": "conv1", "engine": "openvino"}, BundleError, "layer conv1 with openvino"),
        (detector(), images, {}, BundleError, "Cannot embed images by a detector"),
        (tiny, tmp_path / "empty", {}, DataError, "holds no images"),
        (tiny, tmp_path / "missing", {}, DataError, "missing: it does not exist"),
        (tiny, tmp_path / "broken", {}, DataError, "no image that can be read"),
    ):
        with pytest.raises(error, match=sentence):
            embed(model, data, progress=QUIET, **options)
    assert not list(tmp_path.glob("*.parquet"))


def test_a_list_beside_the_array_is_not_replaced(tiny: Classifier, images: Path, tmp_path: Path) -> None:
    """FILE.csv and FILE.json go with FILE.npy; a list of the user's may have that very name."""
    listed = tmp_path / "photos.csv"
    file = next(images.rglob("*.png"))
    listed.write_text(f"path,label\n{file},red\n")
    for data in (listed, images / "val"):
        with pytest.raises(RunError, match=r"Cannot write .*photos"):
            embed(tiny, data, out=tmp_path / "photos.npy", progress=QUIET)
    assert listed.read_text().startswith("path,label")
    assert not (tmp_path / "photos.json").exists()
    for _ in range(2):  # its own files are replaced
        embed(tiny, images / "val", out=tmp_path / "other.npy", progress=QUIET)


def test_only_the_extractor_moves_the_model(tiny: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, a model that was moved back to the processor afterwards could not compute."""
    devices: list[Any] = []
    move = tiny.model.to

    def to(*args: Any, **kwargs: Any) -> Any:
        devices.extend(args)
        return move(*args, **kwargs)

    monkeypatch.setattr(tiny.model, "to", to)
    extraction = extraction_of(tiny, None, "torch", QUIET)
    assert isinstance(extraction.extractor, TorchExtractor)
    assert devices == [extraction.extractor.device]
    assert extraction.key["weights"] == fingerprint(Torch(tiny))


def test_damaged_files_are_named(tiny: Classifier, images: Path, tmp_path: Path) -> None:
    embed(tiny, images / "val", out=tmp_path / "good.parquet", progress=QUIET)
    embed(tiny, images / "val", out=tmp_path / "good.npy", progress=QUIET)
    for suffix in (".parquet", ".npy"):
        data = (tmp_path / f"good{suffix}").read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) // 2])
        (tmp_path / f"text{suffix}").write_text("no embeddings")
    for companion in (".csv", ".json"):
        (tmp_path / f"cut{companion}").write_bytes((tmp_path / f"good{companion}").read_bytes())
        (tmp_path / f"text{companion}").write_bytes((tmp_path / f"good{companion}").read_bytes())
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name in ("cut.parquet", "text.parquet", "cut.npy", "text.npy", "objects.npy", "missing.npy", "a.txt"):
        with pytest.raises(DataError, match=name):
            read_embeddings(tmp_path / name)


def test_a_missing_companion_and_a_missing_folder_are_named(tiny: Classifier, images: Path, tmp_path: Path) -> None:
    embed(tiny, images / "val", out=tmp_path / "a.npy", progress=QUIET)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(DataError, match=r"a.csv, beside it, is missing"):
        read_embeddings(tmp_path / "a.npy")
    with pytest.raises(RunError, match=r"Cannot write .*b.npy: there is no folder .*nowhere\. Try another --out"):
        embed(tiny, images / "val", out=tmp_path / "nowhere" / "b.npy", progress=QUIET)
