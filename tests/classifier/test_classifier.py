"""A classifier is saved and read."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

import inceptorch
from inceptorch.classifier import Classifier, Metadata
from inceptorch.errors import BundleError, ImageError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from tests.conftest import Trap


def test_a_saved_classifier_answers_as_before(tiny: NetworkSpec, tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = Classifier.of(
        Model(tiny, 3), default_preprocessing(16), ["ant", "bee", "cat"], Metadata(license="none")
    )
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    before = classifier.predict(image)
    classifier.save(tmp_path / "bundle")
    again = inceptorch.load(tmp_path / "bundle")
    assert again.predict(image) == before
    assert again.config == classifier.config
    assert again.config.is_custom is False
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_the_card_begins_with_what_the_hub_reads(tiny: NetworkSpec) -> None:
    about = Metadata(
        trained_on="90 images of Blüten/train", validated_on="30 images of Blüten/val", top1=0.87654, top5=1.0,
        license="Für alle",
    )  # fmt: skip
    card = Classifier.of(Model(tiny, 3), default_preprocessing(16), ["ant", "bee", "cat"], about).card()
    front = card.split("---\n")[1]
    assert front.startswith("library_name: inceptorch\npipeline_tag: image-classification\n")
    assert "license_name: Für alle" in front
    assert yaml.safe_load(front)["model-index"] == [
        {
            "name": "tiny",
            "results": [
                {
                    "task": {"type": "image-classification", "name": "Image Classification"},
                    "dataset": {"type": "blüten-train", "name": "Blüten/train", "split": "Blüten/val"},
                    "metrics": [{"type": "accuracy", "name": "top-1 accuracy", "value": 0.8765}],
                }
            ],
        }
    ]


def test_a_classifier_introduces_itself_in_two_lines(bundle: Path) -> None:
    assert repr(inceptorch.load(bundle)).splitlines() == [
        "Classifier tiny, 3 classes: ant, bee, cat",
        "input 16x16 rgb, on cpu",
    ]


def test_predictions_are_sorted_and_sum_to_one(bundle: Path, tmp_path: Path) -> None:
    classifier = inceptorch.load(bundle)
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    one = classifier.predict(tmp_path / "red.png", top=9)
    assert [answer["label"] for answer in one] == [classifier.classes[answer["index"]] for answer in one]
    assert sum(answer["probability"] for answer in one) == pytest.approx(1)
    assert [a["probability"] for a in one] == sorted((a["probability"] for a in one), reverse=True)
    (two, _) = classifier.predict([tmp_path / "red.png", Image.new("RGB", (9, 9))], top=1)
    assert two[0]["label"] == one[0]["label"]
    assert two[0]["probability"] == pytest.approx(one[0]["probability"])
    assert classifier.predict([]) == []


def test_missing_and_damaged_files_are_named(bundle: Path, tmp_path: Path) -> None:
    weights = bundle / "model.safetensors"
    whole = weights.read_bytes()
    for content, sentence in [(whole[:-100], "damaged"), (b"", "damaged"), (b"\xff" * 64, "damaged")]:
        weights.write_bytes(content)
        with pytest.raises(BundleError, match=rf"model.safetensors: .*{sentence}"):
            inceptorch.load(bundle)
    weights.unlink()
    with pytest.raises(BundleError, match=r"model.safetensors does not exist"):
        inceptorch.load(bundle)
    (bundle / "config.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match=r"config.json: it is not JSON"):
        inceptorch.load(bundle)
    (bundle / "config.json").write_text("{")
    with pytest.raises(BundleError, match=r"config.json: it is not JSON"):
        inceptorch.load(bundle)
    (bundle / "config.json").unlink()
    with pytest.raises(BundleError, match=r"no config.json. Name a run or a bundle"):
        inceptorch.load(bundle)
    with pytest.raises(BundleError, match="it does not exist. Name a run or a bundle"):
        inceptorch.load(tmp_path / "nothing")


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_in_the_place_of_weights_is_not_run(bundle: Path, tmp_path: Path, writer: str) -> None:
    sprung = tmp_path / "sprung"
    with open(bundle / "model.safetensors", "wb") as file:
        torch.save(Trap(sprung), file) if writer == "torch" else pickle.dump(Trap(sprung), file)
    with pytest.raises(BundleError, match="is a pickle, which could run code"):
        inceptorch.load(bundle)
    assert not sprung.exists()


def test_saving_into_a_folder_in_use_is_refused(bundle: Path) -> None:
    before = (bundle / "config.json").read_bytes()
    with pytest.raises(RunError, match="already holds files"):
        inceptorch.load(bundle).save(bundle)
    assert (bundle / "config.json").read_bytes() == before


def test_a_image_that_cannot_be_read_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{tmp_path / 'none.jpg'} does not exist"):
        inceptorch.load(bundle).predict(tmp_path / "none.jpg")


def test_weights_with_an_extra_tensor_are_refused(bundle: Path) -> None:
    tensors = load_file(bundle / "model.safetensors")
    save_file({**tensors, "more": torch.zeros(1)}, bundle / "model.safetensors")
    with pytest.raises(BundleError, match="also has more"):
        inceptorch.load(bundle)
