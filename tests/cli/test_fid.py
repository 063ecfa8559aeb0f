import json
from pathlib import Path

import pytest
import torch

from inceptorch.classifier.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from tests.features.helpers import write_images
from tests.helpers import invoke, sentence

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    Classifier.of(Model(tiny, 12).eval(), default_preprocessing(16), [f"{n}" for n in range(12)]).save(
        tmp_path / "tiny"
    )
    return tmp_path / "tiny"


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return write_images(tmp_path / "a", 30, seed=1), write_images(tmp_path / "b", 26, seed=2)


def test_json_is_one_object_with_every_measure(bundle: Path, sides: tuple[Path, Path]) -> None:
    done = invoke("fid", *sides, "--weights", bundle, "--convention", "pytorch-fid", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found["fid"], float)
    assert (found["convention"], found["n"]) == ("pytorch-fid", [30, 26])
    assert len(found["weights"]) == 64
    words = ("--kid", "--precision-recall", "--inception-score", "--infinity", "--convention", "clean-fid", "--json")
    more = json.loads(invoke("fid", *sides, "--weights", bundle, *words).stdout)
    assert {"kid", "precision", "recall", "inception_score", "fid_infinity"} <= more.keys()


def test_every_line_says_convention_weights_and_numbers(bundle: Path, sides: tuple[Path, Path]) -> None:
    done = invoke("fid", *sides, "--weights", bundle, "--precision-recall")
    head, *lines = done.stdout.splitlines()
    assert head.split("  ")[0] == "measure"
    assert [line.split("  ")[0] for line in lines] == ["FID", "precision", "recall"]
    for line in lines:
        assert "pytorch-fid  tiny" in line
        assert "30, 26  PNG, PNG" in line
        assert " to " in line
    assert "warning: " in done.stderr
    assert "no FID" in done.stderr


def test_statistics_are_saved_and_read(bundle: Path, sides: tuple[Path, Path], tmp_path: Path) -> None:
    saved = tmp_path / "a.npz"
    words = ("--weights", bundle, "--json")
    first = json.loads(invoke("fid", *sides, *words, "--save", saved).stdout)
    second = json.loads(invoke("fid", saved, sides[1], *words).stdout)
    assert second["fid"] == pytest.approx(first["fid"], rel=1e-6)
    both = invoke("fid", saved, saved, "--weights", bundle)
    assert "not known" in both.stdout


def test_unreadable_images_are_named_and_left_out(bundle: Path, sides: tuple[Path, Path]) -> None:
    (sides[0] / "000.png").write_bytes(b"no image")
    done = invoke("fid", *sides, "--weights", bundle, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["n"] == [29, 26]
    assert "left out 1 unreadable image:" in done.stderr
    assert "000.png" in done.stderr


def test_mistakes_are_one_sentence(
    bundle: Path, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        return sentence("fid", *words, "--weights", bundle, monkeypatch=monkeypatch, capsys=capsys)

    assert "none: it does not exist" in said(sides[0].parent / "none", sides[1])
    assert "by the convention 'fidelity': did you mean 'torch-fidelity'?" in said(*sides, "--convention", "fidelity")
    assert "Cannot compute KID of 30 and 26 images" in said(*sides, "--kid")
    assert "Cannot find the split 'val'" in said(*sides, "--split-a", "val")
