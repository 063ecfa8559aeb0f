"""Weights in and out by one function."""

from pathlib import Path

import pytest
import torch
from torchvision.models import googlenet

import inceptorch
from inceptorch.classifier.convert.convert import convert
from inceptorch.errors import BundleError
from tests.classifier.convert.helpers import randomised, read, write


def test_a_file_becomes_a_bundle_and_a_bundle_a_file(tmp_path: Path, labels: Path) -> None:
    theirs = randomised(googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10)).state_dict()
    file = write(tmp_path / "weights.pth", theirs)
    assert convert(file, tmp_path / "bundle", labels=labels) == tmp_path / "bundle"
    convert(file, tmp_path / "named", source="googlenet_tv.torchvision", labels=labels)
    notes = [inceptorch.load(tmp_path / name).config.metadata.note or "" for name in ("bundle", "named")]
    assert ["The file does not tell how its images were scaled" in note for note in notes] == [True, False]
    assert convert(tmp_path / "bundle", tmp_path / "back.pth") == tmp_path / "back.pth"
    back = read(tmp_path / "back.pth")
    assert list(back) == list(theirs)
    assert all(torch.equal(tensor, back[name]) for name, tensor in theirs.items())


@pytest.mark.parametrize("option", ["source", "labels"])
def test_a_bundle_knows_its_source_and_labels(option: str, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(BundleError, match="with a bundle, which knows both"):
        convert(tmp_path / "bundle", tmp_path / "x.pth", **{option: "given"})
    assert not (tmp_path / "x.pth").exists()
