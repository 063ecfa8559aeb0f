import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import NonFiniteOutputError
from inceptorch.features import extract as module
from inceptorch.features.conventions import resize_pillow
from inceptorch.features.extract import Extraction, extract, extract_in_memory
from inceptorch.features.extractors import TorchExtractor
from inceptorch.features.inputs import iter_images, open_images
from inceptorch.features.store import DEEP, TRANSPARENT, TURNED
from inceptorch.images.decode import RGBArray
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)
Counted = tuple[Extraction, list[int]]


@pytest.fixture
def counted(classifier: Classifier) -> Counted:
    """How features are made, and a list that grows with every image for which they are."""
    seen: list[int] = []

    def prepare(image: RGBArray) -> NDArray[np.float32]:
        seen.append(int(image.sum()))
        return resize_pillow(image, 16)

    return Extraction(TorchExtractor(classifier), prepare, {"network": "tiny"}), seen


def age(folder: Path, seconds: int = 100) -> None:
    """Make files older than the span in which a second change may not show."""
    for path in folder.rglob("*"):
        state = path.stat()
        os.utime(path, ns=(state.st_mtime_ns - seconds * 10**9, state.st_mtime_ns - seconds * 10**9))


def test_features_are_those_of_the_model_before_its_classifier(
    home: Path, generated: Path, classifier: Classifier, counted: Counted
) -> None:
    features, skipped = extract(open_images(generated), counted[0], QUIET)
    image = np.asarray(Image.open(generated / "004.png").convert("RGB"))
    batch = torch.from_numpy(resize_pillow(image, 16))[None]
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in ((100.0, 110.0, 120.0), (60.0, 50.0, 40.0)))
    with torch.inference_mode():
        x = classifier.model.forward_features((batch - mean) / std)
        expected = classifier.model.forward_head(x, pre_logits=True)[0]
    np.testing.assert_allclose(features.take(np.array([4]))[0], expected, rtol=1e-5, atol=1e-6)
    assert skipped == []
    assert (len(features), features.dim) == (30, classifier.model.num_features)
    assert features.column("height").tolist() == [20] * 30
    assert features.column("width").tolist() == [24] * 30


def test_features_are_computed_once_and_again_for_changed_files(home: Path, generated: Path, counted: Counted) -> None:
    extraction, seen = counted
    age(generated)
    first, _ = extract(open_images(generated), extraction, QUIET)
    assert len(seen) == 30
    again, _ = extract(open_images(generated), extraction, QUIET)
    assert len(seen) == 30
    np.testing.assert_array_equal(first.take(), again.take())
    Image.new("RGB", (9, 9)).save(generated / "003.png")
    Image.new("RGB", (9, 9)).save(generated / "new.png")
    age(generated, 50)  # which is a change of every file
    (generated / "003.png").touch()
    changed, _ = extract(open_images(generated), extraction, QUIET)
    assert len(seen) == 61
    assert changed.column("width").tolist() == [24] * 3 + [9] + [24] * 26 + [9]


def test_an_interrupted_run_goes_on_where_it_was(
    home: Path, generated: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction, seen = counted
    age(generated)

    def stopping(image: RGBArray) -> NDArray[np.float32]:
        if len(seen) == 20:
            raise KeyboardInterrupt
        return extraction.prepare(image)

    with pytest.raises(KeyboardInterrupt):
        extract(open_images(generated), Extraction(extraction.extractor, stopping, extraction.key), QUIET)
    before = len(seen)
    features, _ = extract(open_images(generated), extraction, QUIET)
    assert before < len(seen) < before + 30
    whole = extract_in_memory(iter_images(sorted(generated.iterdir())), extraction, home / "all")
    np.testing.assert_allclose(features.take(), whole.take(), rtol=1e-5, atol=1e-6)


def test_files_that_were_just_written_are_computed_again(home: Path, generated: Path, counted: Counted) -> None:
    extraction, seen = counted
    for _ in range(2):
        extract(open_images(generated), extraction, QUIET)
    assert len(seen) == 60


def test_another_key_is_another_place(home: Path, generated: Path, counted: Counted) -> None:
    extraction, seen = counted
    age(generated)
    for key in ({"network": "tiny"}, {"network": "tiny", "layer": "mix"}):
        extract(open_images(generated), Extraction(extraction.extractor, extraction.prepare, key), QUIET)
    assert len(seen) == 60


def test_unreadable_images_are_left_out_and_named(home: Path, generated: Path, counted: Counted) -> None:
    (generated / "010.png").write_bytes(b"no image")
    (generated / "zz.jpg").touch()
    features, skipped = extract(open_images(generated), counted[0], QUIET)
    assert len(features) == 29
    assert [Path(each["file"]).name for each in skipped] == ["010.png", "zz.jpg"]
    assert "empty" in skipped[1]["error"]


def test_what_packages_read_otherwise_is_flagged(home: Path, tmp_path: Path, counted: Counted) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(folder / "a.jpg", exif=exif)
    Image.new("RGBA", (20, 10)).save(folder / "b.png")
    Image.fromarray(np.full((10, 20), 40_000, np.uint16)).save(folder / "c.png")
    Image.new("RGB", (20, 10)).save(folder / "d.bmp")
    features, _ = extract(open_images(folder), counted[0], QUIET)
    assert features.column("flags").tolist() == [TURNED, TRANSPARENT, DEEP, 0]
    assert features.column("format").tolist() == [b"JPEG", b"PNG", b"PNG", b"BMP"]
    assert features.column("width").tolist() == [10, 20, 20, 20]


def test_the_features_of_damaged_weights_are_a_sentence(
    home: Path, generated: Path, classifier: Classifier, counted: Counted
) -> None:
    next(classifier.model.parameters()).data.fill_(torch.nan)
    with pytest.raises(NonFiniteOutputError, match="Cannot use the network: its features are not finite"):
        extract(open_images(generated), counted[0], QUIET)


def test_memory_holds_a_few_batches(
    home: Path, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An iterator is drawn from no further ahead than the batches under way."""
    extraction, seen = counted
    ahead: list[int] = []

    def images() -> object:
        for number in range(300):
            ahead.append(number - len(seen))
            yield np.full((8, 8, 3), number % 256, np.uint8)

    features = extract_in_memory(iter_images(images()), extraction, tmp_path / "memory")
    assert len(features) == 300
    assert max(ahead) <= 8 * 2 * max(2, torch.get_num_threads()) + 8


def test_what_is_there_is_written_from_time_to_time(
    home: Path, generated: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_INTERVAL", 0.0)
    extract(open_images(generated), counted[0], QUIET)
    assert len(list(home.rglob("*.npy"))) == 4  # batches of 8
