"""Search in embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.errors import BundleError, DataError
from inceptorch.features.embed import embed, read_embeddings
from inceptorch.features.similar import BLOCK, Index, nearest, page, similar
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of

QUIET = Progress(quiet=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    classifier_of(get_network("googlenet_tiny"), classes=3).write(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def embeddings(bundle: Path, images: Path, tmp_path: Path) -> Path:
    embed(bundle, images, out=tmp_path / "all.parquet", progress=QUIET)
    return tmp_path / "all.parquet"


def test_search_is_exact_over_blocks() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(BLOCK + 700, 8)).astype(np.float32)
    queries = random.normal(size=(3, 8)).astype(np.float32)
    brute = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ (
        queries / np.linalg.norm(queries, axis=1)[:, None]
    ).T
    for cosines, expected in zip(Index(vectors).cosines(queries), brute.T, strict=True):
        np.testing.assert_allclose(cosines, expected, atol=1e-5)
        assert nearest(cosines, 20).tolist() == np.argsort(-cosines, kind="stable")[:20].tolist()


def test_of_equal_cosines_the_first_come_first() -> None:
    assert nearest(np.array([0.5, 1, 0.5, 0.5, 1], np.float32), 3).tolist() == [1, 4, 0]
    assert nearest(np.array([0.5, 1], np.float32), 9).tolist() == [1, 0]


def test_a_copy_is_the_nearest_and_an_image_is_not_its_own_neighbor(
    embeddings: Path, images: Path, tmp_path: Path
) -> None:
    own = images / "train" / "red" / "00.png"
    copy = tmp_path / "copy.png"
    Image.open(own).save(copy)
    ((first, *_), others) = similar(embeddings, [copy, own], top=5, progress=QUIET)
    assert first.file == str(own)
    assert first.similarity == pytest.approx(1, abs=1e-5)
    assert first.label == "red"
    assert len(others) == 5
    assert str(own) not in {each.file for each in others}
    assert [each.similarity for each in others] == sorted((each.similarity for each in others), reverse=True)


def test_arrays_are_queries_too(embeddings: Path, images: Path) -> None:
    pixels = np.asarray(Image.open(images / "val" / "blue" / "01.png"))
    ((first,),) = similar(embeddings, [pixels], top=1, progress=QUIET)
    assert first.file == str(images / "val" / "blue" / "01.png")


def test_another_model_is_refused(embeddings: Path, bundle: Path, images: Path, tmp_path: Path) -> None:
    image = images / "val" / "blue" / "01.png"
    other = classifier_of(get_network("googlenet_tiny"), classes=4)
    with pytest.raises(BundleError, match="is not the model that made them"):
        similar(embeddings, image, model=other, progress=QUIET)
    bundle.rename(tmp_path / "moved")
    with pytest.raises(BundleError, match=r"the model .*bundle of the embeddings is not here\. Try --model"):
        similar(embeddings, image, progress=QUIET)
    assert similar(embeddings, image, model=tmp_path / "moved", progress=QUIET)[0]


def test_a_strangers_file_fetches_nothing(embeddings: Path, images: Path) -> None:
    found = read_embeddings(embeddings)
    found = replace(found, about={**found.about, "model": "hf-hub:somebody/model"}, load=found.load)
    with pytest.raises(BundleError, match="hf-hub:somebody/model of the embeddings is not here"):
        similar(found, images / "val" / "blue" / "01.png", progress=QUIET)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        Index(np.array([[1, np.nan]], np.float32))


def test_images_that_are_gone_are_named_alone(embeddings: Path, images: Path) -> None:
    query = images / "val" / "red" / "00.png"
    found = similar(embeddings, query, top=2, progress=QUIET)
    Path(found[0][0].file).unlink()
    assert page([query], found).count("<img") == 2
