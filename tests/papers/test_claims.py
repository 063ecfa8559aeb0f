"""The papers with their verdicts, and their claims."""

import pytest

from inceptorch.papers.quantities import Nets
from inceptorch.papers.verdicts import evaluated, sources
from tests.papers.helpers import BATCH_NORM, GOOGLENET_PAPER, PAPERS, TABLES, V3, row_of

WHY_1X1 = "Why do 1x1 convolutions stand before the 3x3 and 5x5, but behind the pooling?"


def test_a_variant_departs_from_the_table_only_where_it_does() -> None:
    table = evaluated(sources()[0]["tables"][0], Nets(), "googlenet_released")
    verdicts = {row.name: row.verdict for row in table.rows}
    assert (verdicts["4a"], verdicts["4b"], verdicts["conv1"]) == ("explained", "agrees", "explained")
    assert [figure.column for figure in row_of(table, "4a").figures if figure.verdict == "explained"] == [
        "output",
        "#3x3",
    ]


@pytest.mark.parametrize(
    ("claim", "verdict", "printed", "computed"),
    [
        ("weights of a 5x5, 128 to 256 channels", "agrees", 819_200, 5 * 5 * 128 * 256),
        ("the same behind a 1x1 to 64", "agrees", 417_792, 128 * 64 + 5 * 5 * 64 * 256),
        ("weights of a 5x5, 512 to 64 channels", "agrees", 819_200, 5 * 5 * 512 * 64),
        ("the same behind a 1x1 to 24", "agrees", 50_688, 512 * 24 + 5 * 5 * 24 * 64),
        ("GoogLeNet's parameters", "explained", 6_994_392, 6_998_552),
        ("VGG16's parameters", "agrees", 138_357_544, 138_357_544),
        ("VGG16's parameters over GoogLeNet's", "agrees", 20, pytest.approx(19.77, abs=0.005)),
        ("the same in another text", "erratum", 22, pytest.approx(19.77, abs=0.005)),
        ("AlexNet's parameters over GoogLeNet's", "agrees", 9, pytest.approx(8.71, abs=0.005)),
        ("VGG16's share of fully connected layers, %", "agrees", 89, pytest.approx(89.36, abs=0.005)),
        ("AlexNet's share of fully connected layers, %", "unexplained", 95, pytest.approx(96.17, abs=0.005)),
        ("GoogLeNet's share of fully connected layers, %", "agrees", 15, pytest.approx(14.65, abs=0.005)),
        ("dropout before GoogLeNet's classifier, %", "erratum", 70, 40),
        ("rows with an auxiliary classifier", "erratum", "4a and 4b", "4a and 4d"),
    ],
)
def test_worked_examples_of_introductory_texts(claim: str, verdict: str, printed: object, computed: object) -> None:
    row = row_of(TABLES["Introductory texts", "Worked examples"], claim)
    (figure,) = row.figures
    assert (row.verdict, figure.printed, figure.computed) == (verdict, printed, computed)


def test_no_figure_has_a_tolerance_of_its_own() -> None:
    assert [claim["claim"] for paper in sources() for claim in paper.get("claims", ()) if "within" in claim] == []
    tables = [table for paper in sources() for table in paper.get("tables", ())]
    assert [table["name"] for table in tables for how in table["columns"].values() if "within" in how] == []


@pytest.mark.parametrize(
    ("paper", "claim", "printed", "computed", "verdict"),
    [
        (V3, "two 3x3 see as much as", "5x5", "5x5", "agrees"),
        (V3, "three 3x3 see as much as", "7x7", "7x7", "agrees"),
        (V3, "3x1 and then 1x3 see as much as", "3x3", "3x3", "agrees"),
        (V3, "times GoogLeNet's cost", 2.5, pytest.approx(6_045_493_856 / 1_582_671_872), "explained"),
        (V3, "VGGNet's cost by its own", "> 1", pytest.approx(15_470_264_320 / 6_045_493_856), "agrees"),
        (V3, "layers", 42, 49, "unexplained"),
        ("Introductory texts", "AlexNet's top-1 error beside VGG's, %", 37.5, None, "quoted"),
        ("Introductory texts", "VGG16's top-1 error beside AlexNet's, %", 28.5, None, "quoted"),
        (
            GOOGLENET_PAPER,
            "share of 3x3 and 5x5, from module to module",
            "increases",
            "falls in 4 of 8 steps, from 62% to 50%",
            "unexplained",
        ),
    ],
)
def test_claims_about_ideas(paper: str, claim: str, printed: object, computed: object, verdict: str) -> None:
    name = "Worked examples" if paper == "Introductory texts" else "Claims"
    (figure,) = row_of(TABLES[paper, name], claim).figures
    assert (figure.printed, figure.computed, figure.verdict) == (printed, computed, verdict)


def test_claims_by_verdict() -> None:
    claims = [(paper.name, row.name, row.verdict) for paper in PAPERS[:4] for row in paper.claims.rows]
    assert {claim[:2] for claim in claims if claim[2] == "unexplained"} == {
        (GOOGLENET_PAPER, "times fewer parameters than Krizhevsky's"),
        (GOOGLENET_PAPER, "share of 3x3 and 5x5, from module to module"),
        (BATCH_NORM, "parameters, millions"),
        (BATCH_NORM, "more parameters than GoogLeNet, %"),
        (V3, "layers"),
        (V3, "multiply-adds, billions"),
        (V3, "GoogLeNet's parameters, millions"),
        (V3, "AlexNet's parameters over GoogLeNet's"),
        (V3, "VGGNet's parameters over AlexNet's"),
    }
    assert {claim[:2] for claim in claims if claim[2] in ("erratum", "explained")} == {
        (GOOGLENET_PAPER, "multiply-adds, billions"),
        (GOOGLENET_PAPER, "error below SuperVision's 15.3, %"),
        (GOOGLENET_PAPER, "detection, a single model, mAP in %"),
        (BATCH_NORM, "layers deeper than GoogLeNet"),
        (BATCH_NORM, "times fewer steps, BN-x5"),
        (V3, "AlexNet's parameters, millions"),
        (V3, "times GoogLeNet's cost"),
    }


def test_tables_4_and_5_are_the_papers() -> None:
    printed = {
        name: [tuple(figure.printed for figure in row.figures) for row in TABLES[GOOGLENET_PAPER, name].rows]
        for name in ("Table 4", "Table 5")
    }
    assert printed["Table 4"] == [
        (2013, "1st", 22.6, "none", "?", "Fisher vectors"),
        (2014, "3rd", 40.5, "ImageNet 1k", 3, "CNN"),
        (2014, "2nd", 40.7, "ImageNet 1k", "?", "CNN"),
        (2014, "1st", 43.9, "ImageNet 1k", 6, "CNN"),
    ]
    assert printed["Table 5"] == [
        (31.6, "no", "?"),
        (34.5, "no", "yes"),
        (35.4, "?", "?"),
        (37.7, "no", "?"),
        (38.02, "no", "no"),
        (40.2, "yes", "yes"),
    ]
    teams = [row.name for row in TABLES[GOOGLENET_PAPER, "Table 5"].rows]
    assert teams[-2:] == ["GoogLeNet", "Deep Insight"]


def test_what_tables_4_and_5_contradict_explains_itself() -> None:
    claims = TABLES[GOOGLENET_PAPER, "Claims"]
    (single,) = row_of(claims, "detection, a single model, mAP in %").figures
    assert (single.printed, single.computed, single.verdict) == (40, 38.02, "erratum")
    (ensemble,) = row_of(claims, "detection, Deep Insight's three models, mAP in %").figures
    assert ensemble.note.startswith("Only 0.3 above its single model of Table 5, where GoogLeNet's six gain 5.9.")
    (proposals,) = row_of(claims, "detection, proposals, % of R-CNN's").figures
    assert "2403 an image. Half of them and 200 boxes of MultiBox are 58 %." in proposals.note


def test_the_question_about_context_is_answered() -> None:
    questions = {each["question"]: each for paper in PAPERS for each in paper.questions}
    question = questions["What is a contextual model?"]
    assert "the paper never defines it" in question["answer"]
    assert "the 2.2 points" in question["answer"]
    assert round(40.2 - 38.02, 1) == 2.2


def test_answers_are_computed() -> None:
    answers = {each["question"]: each["answer"] for paper in PAPERS for each in paper.questions}
    assert "end with 4944 channels in place of 1024" in answers[WHY_1X1]
    assert (
        "In 3a that would be 192 channels; the projection makes 32"
        in answers["What is the column pool proj of Table 1?"]
    )
    assert "fewer steps are 14.76" in answers["Which figures agree only if one is generous?"]
    assert not any("{" in answer for answer in answers.values())
