"""The model card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from huggingface_hub import ModelCard

from inceptorch.classifier import Classifier, Metadata
from inceptorch.data import find_split
from inceptorch.evaluation import evaluation_from_logits
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.report.card import card
from inceptorch.utils.markdown import in_markdown
from tests.conftest import COLORS, write_classes
from tests.helpers import detector


def test_the_license_in_front_matter_is_the_hubs_name_for_it(tiny: NetworkSpec) -> None:
    for name, expected in (("Apache-2.0", "apache-2.0"), ("not stated", None), ("unrestricted", "other")):
        card = Classifier.of(Model(tiny, 1), default_preprocessing(16), ["a"], Metadata(license=name)).card()
        assert yaml.safe_load(card.split("---\n")[1]).get("license") == expected


def test_the_scores_are_in_the_front_matter_as_the_hub_reads_them(tiny: NetworkSpec) -> None:
    about = Metadata(
        license="MIT", trained_on="72 images of Six Flowers", validated_on="24 images of test", top1=0.87504, top5=0.99
    )
    classifier = Classifier.of(Model(tiny, 6), default_preprocessing(16), list("abcdef"), about)
    data: Any = ModelCard(classifier.card()).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "inceptorch", "image-classification")
    assert data.tags == ["image-classification", "inception", "tiny"]
    assert data.model_name == "tiny"
    found = {each.metric_name: (each.metric_type, each.metric_value) for each in data.eval_results}
    assert found == {"top-1 accuracy": ("accuracy", 0.875), "top-5 accuracy": ("accuracy", 0.99)}
    assert {
        (each.task_type, each.dataset_type, each.dataset_name, each.dataset_split) for each in data.eval_results
    } == {("image-classification", "six-flowers", "Six Flowers", "test")}
    few = Classifier.of(Model(tiny, 5), default_preprocessing(16), list("abcde"), about)
    assert "top-5" not in few.card()
    unknown = Classifier.of(Model(tiny, 6), default_preprocessing(16), list("abcdef"), Metadata(top1=0.5))
    assert "model-index" not in unknown.card()


def test_an_address_is_left_as_it_is_and_nothing_behind_it() -> None:
    assert in_markdown("https://a.org/b_c.pth") == "https://a.org/b_c.pth"
    assert in_markdown("https://a.org/ <script>") == r"https://a.org/ \<script\>"


def test_the_card_lists_the_worst_and_the_best_of_many_classes(tiny: NetworkSpec, tmp_path: Path) -> None:
    write_classes(tmp_path / "data", 40)
    names = [f"class {number}" for number in range(1000)]
    split = find_split(tmp_path / "data", list(COLORS))
    split = replace(split, classes=tuple(names), labels=np.arange(len(split), dtype=np.int32) * 8)
    logits = np.random.default_rng(0).normal(size=(len(split), 1000))
    classifier = Classifier.of(Model(tiny, 1000, size=16), default_preprocessing(16), names)
    evaluation = evaluation_from_logits(logits, names, split, [], "center")
    text = card(classifier, evaluation, "inceptorch eval\nx", {"network": "a|b"})
    assert "The 10 worst of 120:" in text
    assert text.count("\n| class ") == 22  # with two heads
    assert "a\\|b" in text
    assert text.endswith("    inceptorch eval\n    x\n")


def test_a_detectors_card_is_of_its_task_and_has_map() -> None:
    about = Metadata(trained_on="72 images of Cells", validated_on="24 images of val", map50=0.87504, top1=0.5)
    text = detector(metadata=about).card()
    data: Any = ModelCard(text).data
    assert (data.pipeline_tag, data.tags) == (
        "object-detection",
        ["object-detection", "inception", "googlenet_small"],
    )
    (result,) = data.eval_results
    assert (result.task_type, result.metric_type, result.metric_name, result.metric_value) == (
        "object-detection",
        "mean_average_precision",
        "mAP at IoU 0.5",
        0.875,
    )
    assert (result.dataset_name, result.dataset_split) == ("Cells", "val")
    assert "- preprocessing: whole image, resized to fit into 96x64" in text
    assert "center crop" not in text
    assert "model-index" not in detector(metadata=Metadata(top1=0.5, trained_on="a", validated_on="b")).card()
