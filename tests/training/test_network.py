"""What a run's network, size and weights must be, as `--print-config` checks it without data."""

from pathlib import Path

import pytest

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, RecipeError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.training.network import check_request
from inceptorch.training.recipe import RECIPES, SCRATCH
from tests.conftest import TINY
from tests.helpers import invoke


@pytest.mark.parametrize(
    "words",
    [
        "--net tiny --size 3",
        "--net tiny --set freeze=9 --weights BUNDLE --recipe finetune",
        "--net alexnet --weights BUNDLE --recipe finetune",
        "--net googlenet_fc --set size_schedule=[[0,0.5],[1,1]]",
        "--recipe head --epochs 1",
        "--recipe head --epochs 1 --weights BUNDLE",
        "--weights nope",
        "--weights IMAGES",
    ],
)
@pytest.mark.usefixtures("tiny")
def test_print_config_refuses_what_a_run_refuses(words: str, images: Path, tmp_path: Path) -> None:
    Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), ["a", "b", "c"]).save(tmp_path / "bundle")
    given = words.replace("BUNDLE", str(tmp_path / "bundle")).replace("IMAGES", str(images)).split()
    run = invoke("train", images, "--out", tmp_path / "run", *given)
    printed = invoke("train", images, *given, "--print-config")
    assert isinstance(run.exception, InceptorchError)
    assert (type(printed.exception), str(printed.exception)) == (type(run.exception), str(run.exception))


def test_a_recipe_is_printed_without_the_weights_that_it_needs() -> None:
    assert invoke("train", "--recipe", "finetune", "--print-config").exit_code == 0


def test_published_weights_are_known_without_being_fetched() -> None:
    check_request(RECIPES["head"], None, "googlenet.bvlc")
    with pytest.raises(RecipeError, match="holds the network 'googlenet', not 'alexnet'"):
        check_request(RECIPES["head"], "alexnet", "googlenet.bvlc")


def test_recipe_head_for_the_whole_network_names_a_recipe_that_works_as_it_stands() -> None:
    head = RECIPES["head"].replace(epochs=2)
    with pytest.raises(RecipeError, match=r"Try --recipe finetune --epochs 2\.$"):
        check_request(head, None, "googlenet.bvlc")
    with pytest.raises(RecipeError, match=r"Try --recipe scratch --epochs 2, or .* --weights\.$"):
        check_request(head, None, None)
    check_request(SCRATCH.replace(epochs=2), None, None)
