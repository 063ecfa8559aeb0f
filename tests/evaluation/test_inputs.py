"""Which models and images are evaluated."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.data import find_split
from inceptorch.data.imagenet import synsets
from inceptorch.errors import DataError, InceptorchError, ProtocolError
from inceptorch.evaluation import compare_crops_and_ensembles, evaluate
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.recipe import Recipe
from inceptorch.utils.progress import Progress
from tests.conftest import write_classes

QUIET = Progress(quiet=True)


@pytest.fixture
def imagenet(tiny: NetworkSpec) -> Classifier:
    classes = ["tench, Tinca tinca", *(f"name of {synset}" for synset in synsets()[1:])]
    return Classifier.of(Model(tiny, 1000, size=16).eval(), default_preprocessing(16), classes)


def write_validation(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for number in range(1, count + 1):
        noise = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"ILSVRC2012_val_{number:08}.JPEG")
    return folder


@pytest.fixture
def divided(recipe: Recipe, tmp_path: Path) -> Path:
    """Runs a, b and c on a folder that training divided itself, c with another seed."""
    write_classes(tmp_path / "all", 10)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = {"out": tmp_path / name, "recipe": recipe.replace(epochs=1), "seed": seed, "progress": QUIET}
        inceptorch.train(tmp_path / "all", **words)  # type: ignore[arg-type]
    return tmp_path


def test_what_cannot_be_averaged_is_refused(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    other = Classifier.of(members[1].model, members[1].preprocessing, ["a", "b", "c"])
    with pytest.raises(ProtocolError, match="other classes than the first"):
        evaluate([members[0], other], images, split="val", progress=QUIET)
    with pytest.raises(ProtocolError, match="Cannot use 3 weights for 2 models"):
        evaluate(members, images, split="val", progress=QUIET, weights=[1, 2, 3])
    with pytest.raises(ProtocolError, match="numbers above 0, not 1, -1"):
        evaluate(members, images, split="val", progress=QUIET, weights=[1, -1])
    with pytest.raises(ProtocolError, match="Cannot evaluate models without images"):
        evaluate(members, progress=QUIET)
    evaluate(members[0], images, split="val", progress=QUIET, save_predictions=tmp_path / "val")
    evaluate(members[0], images, split="train", progress=QUIET, save_predictions=tmp_path / "train")
    saved = [str(next((tmp_path / name).iterdir())) for name in ("val", "train")]
    with pytest.raises(ProtocolError, match="are of different images"):
        evaluate(saved, progress=QUIET)
    with pytest.raises(ProtocolError, match="has the predictions for other images"):
        evaluate(saved[0], images, split="train", progress=QUIET)
    with pytest.raises(ProtocolError, match="Cannot choose among the images"):
        evaluate(saved[0], progress=QUIET, exclude=tmp_path / "none.txt")
    with pytest.raises(ProtocolError, match="Cannot change the protocol"):
        evaluate(saved[0], progress=QUIET, protocol="10crop")
    with pytest.raises(ProtocolError, match="Cannot fit a temperature for saved"):
        evaluate(saved[0], images, split="val", progress=QUIET, calibrate_on="train")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ProtocolError, match=r"x.safetensors holds no predictions, or is damaged"):
        evaluate(tmp_path / "x.safetensors", progress=QUIET)
    members[0].save(tmp_path / "bundle")
    with pytest.raises(ProtocolError, match="holds no predictions. `inceptorch eval --save-predictions`"):
        evaluate(tmp_path / "bundle" / "model.safetensors", progress=QUIET)


def test_models_are_named_as_they_were_given(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    """Runs of one network in two folders can be told apart, in words, in the table and in files, whatever the
    folders."""
    first, second, same = (tmp_path / name for name in ("one/mine", "one/yours", "two/mine"))
    for member, folder in zip((*members, members[1]), (first, second, same), strict=True):
        member.save(folder)
    kept = tmp_path / "kept"
    together = evaluate([first, second], images, split="val", progress=QUIET, save_predictions=kept)
    assert together.protocol.endswith("of 2 models averaged: 1 x mine (tiny), 1 x yours (tiny)")
    files = sorted(kept.iterdir())
    assert [file.name.split(".")[0] for file in files] == ["mine", "yours"]
    assert evaluate(files, progress=QUIET).to_dict() == together.to_dict()
    rows = compare_crops_and_ensembles([first, same], images, split="val", progress=QUIET, protocols=["center"])
    assert (rows[1].models, rows[1].networks) == ([str(first), str(same)], ["tiny", "tiny"])


def test_synset_folders_are_understood(imagenet: Classifier, tmp_path: Path) -> None:
    write_classes(tmp_path, 2)
    wanted = {"blue": "n01440764", "green": "n15075141", "red": "n01443537"}
    for color, synset in wanted.items():
        (tmp_path / color).rename(tmp_path / synset)
    split = find_split(tmp_path, imagenet.classes)
    assert sorted(set(split.labels.tolist())) == [0, 1, 999]
    assert evaluate(imagenet, tmp_path, progress=QUIET).n == 6
    (tmp_path / "n01443537").rename(tmp_path / "n99999999")
    with pytest.raises(DataError, match="n99999999 is not one of the 1000 synsets"):
        find_split(tmp_path, imagenet.classes)
    with pytest.raises(DataError, match="that training did not have"):  # not a network with these classes
        find_split(tmp_path, ["a", "b"])


def test_the_validation_images_as_they_come(imagenet: Classifier, tmp_path: Path) -> None:
    from scipy.io import savemat

    folder = write_validation(tmp_path / "val")
    with pytest.raises(DataError, match="without their labels"):
        find_split(folder, imagenet.classes)
    chosen = [5, 0, 999, 7]
    (folder / "val.txt").write_text("".join(f"ILSVRC2012_val_{n:08}.JPEG {c}\n" for n, c in enumerate(chosen, 1)))
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen
    (folder / "val.txt").unlink()
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(synsets()[c] for c in chosen))
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen
    (folder / "imagenet_2012_validation_synset_labels.txt").unlink()
    rows = np.array(
        [(number, synset) for number, synset in enumerate(reversed(synsets()), 1)],
        dtype=[("ILSVRC2012_ID", "i4"), ("WNID", "O")],
    )
    savemat(folder / "meta.mat", {"synsets": rows})
    numbers = "\n".join(str(1000 - c) for c in chosen)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(numbers)
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen

    (tmp_path / "blacklist.txt").write_text("2\n4\n")
    evaluation = evaluate(imagenet, folder, progress=QUIET, exclude=tmp_path / "blacklist.txt")
    assert evaluation.summary.labels.tolist() == [5, 999]
    (tmp_path / "blacklist.txt").write_text("9\n")
    with pytest.raises(InceptorchError, match="9 is not an image of"):
        evaluate(imagenet, folder, progress=QUIET, exclude=tmp_path / "blacklist.txt")


def test_what_training_saw_is_not_evaluated(divided: Path) -> None:
    whole = evaluate(divided / "a", divided / "all", progress=QUIET)
    assert whole.n == 6
    left_out = divided / "without.txt"
    left_out.write_text("red/00.png\nred/01.png\nred/02.png\nblue/05.png\n")
    kept = evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)
    names = {str(divided / "all" / line) for line in left_out.read_text().split()}
    assert set(kept.files) == set(whole.files) - names
    assert evaluate([divided / "a", divided / "b"], divided / "all", progress=QUIET).n == 6
    with pytest.raises(ProtocolError, match="different validation images"):
        evaluate([divided / "a", divided / "c"], divided / "all", progress=QUIET)
    left_out.write_text("00.png\n")
    with pytest.raises(DataError, match="00.png is 3 images of"):
        evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)
    left_out.write_text("red/99.png\n")
    with pytest.raises(DataError, match="is not an image of"):
        evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)
