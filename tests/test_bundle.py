"""Classifiers on disk: what goes in comes out, and nothing that lies or could run code is believed."""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import inceptorch
from inceptorch.classifier import Classifier, ClassifierConfig, Metadata
from inceptorch.classifier.convert import import_weights
from inceptorch.classifier.hub import resolve_weights
from inceptorch.classifier.published import Hash, published
from inceptorch.errors import BundleError, ImageError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_plain
from inceptorch.networks.zoo import NETS
from tests.conftest import TINY, Trap


@pytest.fixture
def bundle(tiny: NetworkSpec, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    Classifier.of(Model(tiny, 3), default_preprocessing(16), ["ant", "bee", "cat"], Metadata(license="none")).save(
        tmp_path / "bundle"
    )
    return tmp_path / "bundle"


def edit(bundle: Path, **changes: object) -> None:
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps({**config, **changes}))


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
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_formats_of_before_are_read(bundle: Path) -> None:
    """A config as it was written in format 2."""
    before = json.loads((Path(__file__).parent / "data" / "config_format_2.json").read_text())
    (bundle / "config.json").write_text(json.dumps(before))
    config = inceptorch.load(bundle).config
    assert config == ClassifierConfig.from_dict(json.loads(json.dumps(config.to_dict())), "again")
    assert config.to_dict()["format"] == 3
    assert (config.network, config.preprocessing.resize, config.classes) == (TINY, 16, ["ant", "bee", "cat"])
    metadata = config.metadata
    assert metadata.split == {"fraction": 0.2, "seed": 7, "fingerprint": "f" * 64}
    assert metadata.threshold is not None
    assert (metadata.threshold["threshold"], metadata.license, metadata.accuracy) == (0.36, "Apache-2.0", "top-1 80%")
    assert (metadata.trained_on, metadata.validated_on) == ("36 pictures of all", "6 pictures of held-out")
    assert metadata.other == {"mine": 1}
    del before["network"]
    (bundle / "config.json").write_text(json.dumps({**before, "format": 1}))
    assert inceptorch.load(bundle).config == config


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


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"format": 1, "architecture": "tinny", "pixels": default_preprocessing(16).to_dict()},
            "no network 'tinny': did you mean 'tiny'",
        ),
        ({"network": {"name": "tiny", "size": 16}}, "config.json: The network has no 'body'"),
        ({"network": "tiny"}, "config.json: A network is written as values by name"),
        ({"num_classes": 4}, "num_classes is 4, but label_names has 3"),
        ({"label_names": ["a", "b"], "num_classes": 2}, r"head.linear.weight is \[3, 16\], not \[2, 16\]"),
        ({"label_names": "abc"}, "list of class names"),
        ({"label_names": ["a", "b", "\ud800"]}, "list of class names"),
        ({"label_names": ["a", "b", "b"]}, "has a name twice"),
        ({"num_classes": "many"}, "num_classes is 'many'; it must be a whole number"),
        ({"preprocessing": None}, "preprocessing is None; it must be names and values"),
        ({"preprocessing": {"size": 16}}, "Preprocessing has no 'resize'"),
        ({"network": to_plain(NETS["googlenet"])}, "too small for googlenet"),
        ({"network": to_plain(NETS["googlenet_small"])}, "does not fit the network"),
        (
            {"metadata": {"split": {"seed": 1}}},
            "split of the metadata must have the values fraction, seed, fingerprint",
        ),
        ({"format": 99}, "config.json: the format is 99"),
    ],
)
def test_a_config_that_lies_is_found_out(bundle: Path, changes: dict[str, object], sentence: str) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=sentence):
        inceptorch.load(bundle)


def test_missing_and_damaged_files_are_named(bundle: Path, tmp_path: Path) -> None:
    weights = bundle / "model.safetensors"
    whole = weights.read_bytes()
    for content, sentence in [(whole[:-100], "damaged"), (b"", "damaged"), (b"\xff" * 64, "damaged")]:
        weights.write_bytes(content)
        with pytest.raises(BundleError, match=rf"model.safetensors .*{sentence}"):
            inceptorch.load(bundle)
    weights.unlink()
    with pytest.raises(BundleError, match=r"model.safetensors does not exist"):
        inceptorch.load(bundle)
    (bundle / "config.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match=r"config.json is not JSON"):
        inceptorch.load(bundle)
    (bundle / "config.json").write_text("{")
    with pytest.raises(BundleError, match=r"config.json is not JSON"):
        inceptorch.load(bundle)
    (bundle / "config.json").unlink()
    with pytest.raises(BundleError, match=r"no config.json: it is no run and no bundle"):
        inceptorch.load(bundle)
    with pytest.raises(BundleError, match="does not exist; name a run or a bundle"):
        inceptorch.load(tmp_path / "nothing")


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_in_the_place_of_weights_is_not_run(bundle: Path, tmp_path: Path, writer: str) -> None:
    sprung = tmp_path / "sprung"
    with open(bundle / "model.safetensors", "wb") as file:
        torch.save(Trap(sprung), file) if writer == "torch" else pickle.dump(Trap(sprung), file)
    with pytest.raises(BundleError, match="is a pickle, which could run code"):
        inceptorch.load(bundle)
    assert not sprung.exists()


def test_a_pickle_inside_an_npz_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    np.savez(tmp_path / "w.npz", **{"conv1/7x7_s2.weight": np.array([Trap(sprung)], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="holds a pickle"):
        import_weights(tmp_path / "w.npz", tmp_path / "out")
    assert not sprung.exists()
    assert not (tmp_path / "out").exists()


def test_an_npz_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(BundleError, match="holds no network that inceptorch knows: its first tensor is 'a'"):
        import_weights(tmp_path / "w.npz", tmp_path / "out")
    (tmp_path / "t.npz").write_text("text")
    with pytest.raises(BundleError, match="not an .npz file of arrays"):
        import_weights(tmp_path / "t.npz", tmp_path / "out")


def test_saving_into_a_folder_in_use_is_refused(bundle: Path) -> None:
    before = (bundle / "config.json").read_bytes()
    with pytest.raises(RunError, match="already holds files"):
        inceptorch.load(bundle).save(bundle)
    assert (bundle / "config.json").read_bytes() == before


def test_weights_carry_over_to_other_classes_and_channels(bundle: Path) -> None:
    given = load_file(bundle / "model.safetensors")
    same = inceptorch.create_model("tiny", weights=bundle)
    assert torch.equal(same.state_dict()["head.linear.weight"], given["head.linear.weight"])
    model = inceptorch.create_model("tiny", num_classes=7, in_chans=1, weights=bundle, aux=True)
    assert model.get_classifier().out_features == 7
    gray = torch.randn(2, 1, 16, 16)
    expected = inceptorch.create_model("tiny", weights=bundle).eval().forward_features(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(model.eval().forward_features(gray), expected)
    with pytest.raises(BundleError, match="holds the network 'tiny', not 'googlenet'"):
        inceptorch.create_model("googlenet", weights=bundle)


def test_auxiliary_heads_do_not_stand_in_the_way_of_other_channels(tiny: NetworkSpec, tmp_path: Path) -> None:
    Classifier.of(Model(tiny, 3, aux=True), default_preprocessing(16), ["a", "b", "c"], aux_heads=True).save(
        tmp_path / "bundle"
    )
    gray = inceptorch.create_model("tiny", in_chans=1, weights=tmp_path / "bundle", aux=True)
    kept = load_file(tmp_path / "bundle" / "model.safetensors")
    assert torch.equal(gray.state_dict()["aux.mix.fc.linear.weight"], kept["aux.mix.fc.linear.weight"])
    assert torch.equal(gray.state_dict()["body.conv1.conv.weight"], kept["body.conv1.conv.weight"].sum(1, keepdim=True))


def test_weights_of_another_table_of_the_same_name_are_refused(tiny: NetworkSpec, bundle: Path) -> None:
    longer = replace(tiny, body={**tiny.body, "more": Conv(16)})
    with pytest.raises(BundleError, match="another table called 'tiny': row more differs"):
        inceptorch.create_model(longer, weights=bundle)


def test_a_separable_stem_serves_only_the_channels_it_was_trained_for(tmp_path: Path) -> None:
    model = Model(NETS["bn_inception_small"], 2)
    Classifier.of(model, default_preprocessing(32), ["a", "b"]).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="begins with a separable convolution, whose weights for 3 channels"):
        inceptorch.create_model("bn_inception_small", in_chans=1, weights=tmp_path / "bundle")


def test_a_name_that_is_no_folder_gets_a_suggestion() -> None:
    with pytest.raises(
        BundleError, match="neither a folder nor a set of published weights .*did you mean 'googlenet.bvlc'"
    ):
        inceptorch.load("googlenet.bvlx")


def test_published_weights_by_name_are_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    """The file is put where the sentence for those without a network says; it is known by its hash."""
    source = shared / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz"
    digest = Hash("sha256", hashlib.sha256(source.read_bytes()).hexdigest(), "this test")
    here = replace(published()["googlenet.bvlc"], name="here", url=f"http://localhost/{source.name}", hash=digest)
    monkeypatch.setitem(published(), "here", here)
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path))
    here.path().parent.mkdir(parents=True)
    shutil.copy(source, here.path())
    folder = resolve_weights("here")
    made = (folder / "config.json").stat().st_mtime_ns
    assert inceptorch.load("here").classes[0] == "tench"
    assert (folder / "config.json").stat().st_mtime_ns == made
    (tmp_path / "elsewhere" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resolve_weights("here") == tmp_path / "elsewhere" / "here"  # a folder of that name goes before


def test_a_image_that_cannot_be_read_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{tmp_path / 'none.jpg'} does not exist"):
        inceptorch.load(bundle).predict(tmp_path / "none.jpg")


def test_weights_with_an_extra_tensor_are_refused(bundle: Path) -> None:
    tensors = load_file(bundle / "model.safetensors")
    save_file({**tensors, "more": torch.zeros(1)}, bundle / "model.safetensors")
    with pytest.raises(BundleError, match="also has more"):
        inceptorch.load(bundle)
