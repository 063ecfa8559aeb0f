import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import inceptorch
from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.convert import export_weights
from inceptorch.classifier.published import get_weights
from inceptorch.errors import BundleError, DataError, RunError
from inceptorch.features.conventions import CONVENTIONS
from inceptorch.models.module import Model
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress
from tests.features.helpers import write_images

pytestmark = pytest.mark.usefixtures("home")
QUIET = Progress(quiet=True)


def fid(a: Any, b: Any, **options: Any) -> inceptorch.FIDResult:
    return inceptorch.fid(a, b, progress=QUIET, **options)


def test_the_result_says_all_that_must_be_known(generated: Path, real: Path, classifier: Classifier) -> None:
    found = fid(
        generated, real, weights=classifier, convention="clean-fid", kid=True, precision_recall=True,
        inception_score=True, infinity=True,
    )  # fmt: skip
    said = found.to_dict()
    assert (found.convention, found.network, found.n) == ("clean-fid", "tiny", (30, 26))
    assert found.formats == ({"PNG": 30}, {"PNG": 26})
    assert len(found.weights) == 64
    measures = ["fid", "kid", "precision", "recall", "inception_score", "fid_infinity"]
    assert sorted(found.intervals) == sorted(measures)
    for name in measures:
        low, high = found.intervals[name]
        assert low <= said[name] <= high
    assert "These are features of tiny: a Fréchet distance of its own, which is no FID." in found.warnings
    plain = fid(generated, real, weights=classifier, convention="clean-fid").to_dict()
    assert plain["fid"] == said["fid"]
    assert not {"kid", "precision", "inception_score", "fid_infinity"} & plain.keys()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_files_arrays_tensors_and_generators_have_one_distance(
    generated: Path, real: Path, classifier: Classifier, convention: str
) -> None:
    expected = fid(generated, real, weights=classifier, convention=convention).fid
    batch = np.stack([np.asarray(Image.open(path)) for path in sorted(generated.iterdir())])

    def generator() -> Iterator[torch.Tensor]:
        for start in range(0, 30, 7):
            yield torch.from_numpy(batch[start : start + 7]).permute(0, 3, 1, 2)

    for given in (batch, torch.from_numpy(batch).permute(0, 3, 1, 2), generator(), sorted(generated.iterdir())):
        found = fid(given, real, weights=classifier, convention=convention)
        assert found.fid == pytest.approx(expected, rel=1e-5)
        assert found.n == (30, 26)


def test_conventions_differ(generated: Path, real: Path, classifier: Classifier) -> None:
    values = {round(fid(generated, real, weights=classifier, convention=each).fid, 6) for each in CONVENTIONS}
    assert len(values) == 3


def test_saved_statistics_stand_for_the_images(
    generated: Path, real: Path, classifier: Classifier, tmp_path: Path
) -> None:
    saved = tmp_path / "a.npz"
    expected = fid(generated, real, weights=classifier, save=saved)
    for a, b in ((saved, real), (real, saved)):
        found = fid(a, b, weights=classifier)
        assert found.fid == pytest.approx(expected.fid, rel=1e-6)
        assert set(found.n) == {30, 26}
        assert "fid" in found.intervals
    both = fid(saved, saved, weights=classifier)
    assert both.intervals == {}
    assert both.fid == pytest.approx(0, abs=1e-6)


def test_statistics_of_something_else_are_sentences(
    generated: Path, real: Path, classifier: Classifier, tmp_path: Path
) -> None:
    saved = tmp_path / "a.npz"
    fid(generated, real, weights=classifier, convention="clean-fid", save=saved)
    with pytest.raises(DataError, match="its statistics are of the convention clean-fid, not pytorch-fid. Try --conv"):
        fid(saved, real, weights=classifier)
    torch.manual_seed(1)
    other = Classifier(Model(classifier.config.network, 12, size=16).eval(), classifier.config)
    with pytest.raises(DataError, match="its statistics are of the weights .{12}, not .{12}. Try the same weights."):
        fid(saved, real, weights=other, convention="clean-fid")
    np.savez(tmp_path / "c.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(DataError, match="its statistics are of 3 features, not of 16. Try the same network."):
        fid(tmp_path / "c.npz", real, weights=classifier)
    for option in ("kid", "precision_recall", "inception_score", "infinity"):
        with pytest.raises(DataError, match="Cannot compute more than FID with .*a.npz: it holds statistics."):
            fid(saved, real, weights=classifier, convention="clean-fid", **{option: True})
    with pytest.raises(DataError, match="it holds statistics"):
        fid(real, saved, weights=classifier, convention="clean-fid", kid=True)
    assert fid(real, saved, weights=classifier, convention="clean-fid", infinity=True).fid_infinity is not None


def test_statistics_of_others_are_taken_with_a_warning(real: Path, classifier: Classifier, tmp_path: Path) -> None:
    dim = classifier.model.num_features
    np.savez(tmp_path / "b.npz", mu=np.zeros(dim), sigma=np.eye(dim))
    found = fid(tmp_path / "b.npz", real, weights=classifier)
    assert found.n == (None, 26)
    assert any("does not say by which convention it was made" in each for each in found.warnings)
    assert any("does not say of how many images" in each for each in found.warnings)


def test_too_few_readable_images_are_sentences(real: Path, classifier: Classifier, tmp_path: Path) -> None:
    one = write_images(tmp_path / "one", 1, seed=3)
    with pytest.raises(DataError, match="Cannot compute FID of .*one: it has one image alone, which has no covariance"):
        fid(one, real, weights=classifier)
    (one / "000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="one: it has no image that can be read; .*000.png is not an image"):
        fid(one, real, weights=classifier)
    with pytest.raises(DataError, match="Cannot compute FID of A: it has no image"):
        fid(iter([]), real, weights=classifier)


def test_skipped_images_are_named_and_do_not_count(generated: Path, real: Path, classifier: Classifier) -> None:
    (generated / "000.png").write_bytes(b"no image")
    found = fid(generated, real, weights=classifier)
    assert found.n == (29, 26)
    assert [Path(each["file"]).name for each in found.skipped] == ["000.png"]


def test_weights_that_cannot_be_used_are_sentences(
    generated: Path, real: Path, tmp_path: Path, classifier: Classifier
) -> None:
    custom = Classifier(classifier.model, replace(classifier.config, spec="some.Module"))
    with pytest.raises(BundleError, match="Cannot take features of some.Module: it is a custom module."):
        fid(generated, real, weights=custom)
    (tmp_path / "a.onnx").touch()
    with pytest.raises(BundleError, match="Cannot take features of .*a.onnx: it is an exported file."):
        fid(generated, real, weights=tmp_path / "a.onnx")
    with pytest.raises(BundleError, match="Cannot find a folder or published weights nothing"):
        fid(generated, real, weights="nothing")


def test_statistics_are_not_saved_where_they_do_not_belong(
    generated: Path, real: Path, classifier: Classifier, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="its name must end in .npz"):
        fid(generated, real, weights=classifier, save=tmp_path / "a.npy")
    with pytest.raises(RunError, match="it lies inside the images in"):
        fid(generated, real, weights=classifier, save=generated / "a.npz")
    fid(generated, real, weights=classifier, save=tmp_path / "a.npz")
    with pytest.raises(RunError, match="Cannot save the statistics of .*a.npz: it holds them already."):
        fid(tmp_path / "a.npz", real, weights=classifier, save=tmp_path / "b.npz")


def test_remarks_name_what_is_hard_to_compare(generated: Path, classifier: Classifier, tmp_path: Path) -> None:
    other = write_images(tmp_path / "other", 60, seed=4, size=(16, 16), suffix="jpg")
    shutil.copy(generated / "000.png", other)
    Image.new("RGBA", (16, 16)).save(other / "alpha.png")
    found = " ".join(fid(generated, other, weights=classifier).warnings)
    assert "formats of the files differ (PNG, JPEG and PNG)" in found
    assert "sizes of the images differ (medians 24x20 and 16x16 pixels)" in found
    assert "generated has 30 images: FID falls as n grows." in found
    assert "1 of 62 images of" in found
    assert "transparent, which is laid over white here and dropped there" in found
    same = write_images(tmp_path / "same", 12, seed=4, size=(16, 16))
    found = " ".join(fid(same, same, weights=classifier).warnings)
    assert "have 16x16 pixels, as the network: if they were resized before" in found
    assert "same has 12 images, fewer than the 16 features: FID is far too high" in found
    assert "differ" not in found


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of FID's own network, in the names of pytorch-fid's file."""
    torch.manual_seed(0)
    model = Model(get_network("inception_v3_fid"), 1008).eval()
    classes = [f"class {number}" for number in range(1008)]
    pixels = get_weights("inception_v3_fid.pytorch_fid").preprocessing
    folder = tmp_path_factory.mktemp("inception")
    Classifier.of(model, pixels, classes).save(folder / "bundle")
    export_weights(folder / "bundle", folder / "weights.pth")
    return folder


@pytest.mark.slow
def test_files_of_pytorch_fid_and_bundles_are_the_same_weights(inception: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", 2, seed=0, size=(30, 40))
    found = [fid(images, images, weights=inception / name, engine="torch") for name in ("weights.pth", "bundle")]
    assert len({each.weights for each in found}) == 1
    assert found[0].network == "inception_v3_fid"
    assert not any("no FID" in each for each in found[0].warnings)


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["pytorch-fid", "torch-fidelity"])
def test_features_are_the_packages_own(
    inception: Path, tmp_path: Path, convention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through their own code from file to statistics; the root is taken here, as SciPy 1.18 broke theirs."""
    a = write_images(tmp_path / "a", 4, seed=0, size=(40, 30), suffix="jpg")
    found = tmp_path / "a.npz"
    fid(a, a, weights=inception / "weights.pth", convention=convention, save=found, engine="torch")
    if convention == "pytorch-fid":
        score = pytest.importorskip("pytorch_fid.fid_score", reason="pytorch-fid is missing")
        module = pytest.importorskip("pytorch_fid.inception")
        state = torch.load(inception / "weights.pth", weights_only=True)
        monkeypatch.setattr(module, "load_state_dict_from_url", lambda *args, **options: state)
        model = module.InceptionV3([3]).eval()
        files = sorted(a.iterdir())
        mu, sigma = score.calculate_activation_statistics(files, model, 4, 2048, "cpu", 0)
    else:
        utils = pytest.importorskip("torch_fidelity.utils", reason="torch-fidelity is missing")
        metric = pytest.importorskip("torch_fidelity.metric_fid")
        options = {"feature_extractor_weights_path": str(inception / "weights.pth"), "verbose": False, "cache": False}
        model = utils.create_feature_extractor("inception-v3-compat", ["2048"], cuda=False, **options)
        dataset = utils.prepare_input_from_descriptor({"input": str(a)}, **options)
        features = utils.get_featuresdict_from_dataset(dataset, model, 4, False, True, False)["2048"]
        mu, sigma = metric.fid_features_to_statistics(features).values()
    with np.load(found) as ours:
        np.testing.assert_allclose(ours["mu"], mu, atol=1e-6 * np.abs(mu).max())
        np.testing.assert_allclose(ours["sigma"], sigma, atol=1e-4 * np.abs(sigma).max())
