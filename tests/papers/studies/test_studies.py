"""The list of studies: their networks train at their sizes."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.zoo import NETS, get_network
from inceptorch.papers.studies import STUDIES
from inceptorch.papers.studies.grid import plan
from inceptorch.utils.progress import Progress
from tests.conftest import write_classes

QUIET = Progress(quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_trains_for_a_step_and_every_claim_is_about_arms(name: str, tmp_path: Path) -> None:
    write_classes(tmp_path / "images", 3)
    study = STUDIES[name]
    values = {"epochs": 1, "batch_size": 8}
    for each in plan(study, tmp_path / "images", values):
        table = tmp_path / f"{each.arm.name}.yaml"
        table.write_text(to_yaml(each.net))
        assert get_network(str(table)) == each.net
        result = inceptorch.train(
            tmp_path / "images", out=tmp_path / each.arm.name, net=str(table), recipe=each.recipe, progress=QUIET
        )
        assert result.epochs == 1
    names = [arm.name for arm in study.arms]
    assert len(set(names)) == len(names)
    for claim in study.claims:
        assert {claim.of, claim.against} <= set(names)
        assert (claim.margin > 0) == (claim.predicts != "better")


def test_auxiliary_heads_are_there_where_the_study_is_about_them(images: Path) -> None:
    for name in ("aux-heads", "aux-heads-plain", "v3-ladder"):
        nets = {each.arm.name: each.net for each in plan(STUDIES[name], images, {"epochs": 1})}
        trained = {
            arm: count_complexity(table, 32).params_with_aux - count_complexity(table, 32).params
            for arm, table in nets.items()
        }
        assert all(extra > 0 for arm, extra in trained.items() if arm != "none"), trained


def test_no_name_of_a_network_is_taken() -> None:
    assert not {arm.net(32).name for study in STUDIES.values() for arm in study.arms} & set(NETS)
