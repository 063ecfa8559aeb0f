"""The papers as data: every printed figure has a verdict, and the verdict follows the tables."""

import json
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inceptorch.errors import TableError
from inceptorch.networks import zoo
from inceptorch.networks.layers import Conv, Fork, Layer, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.papers.claims import evaluated_papers
from inceptorch.papers.page import page, text, to_json
from inceptorch.papers.quantities import Nets, filled, value_of
from inceptorch.papers.verdicts import VERDICTS, Figure, Row, Table, evaluated, sources

GOOGLENET, BN_INCEPTION, BATCH_NORM, V3 = (
    NETS["googlenet"],
    NETS["bn_inception"],
    "arXiv:1502.03167",
    "arXiv:1512.00567",
)
GOOGLENET_PAPER, V4 = "arXiv:1409.4842", "arXiv:1602.07261"
PAPERS = evaluated_papers(Nets())
TABLES = {(paper.name, table.name): table for paper in PAPERS for table in paper.all_tables}


def figures(verdict: str) -> Iterator[tuple[str, str, str]]:
    """Table, row and column of every figure of the papers' tables with this verdict."""
    for paper in PAPERS:
        for table in (*paper.tables, *paper.accuracy):
            for row in table.rows:
                yield from (
                    (f"{paper.name} {table.name}", row.name, figure.column)
                    for figure in row.figures
                    if figure.verdict == verdict
                )


def row_of(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.name == name)


def figure_of(row: Row, column: str) -> Figure:
    return next(figure for figure in row.figures if figure.column == column)


def table_1(net: NetworkSpec) -> Table:
    return evaluated(sources()[0]["tables"][0], Nets(net))


def figure_5(net: NetworkSpec) -> Table:
    return evaluated(sources()[1]["tables"][0], Nets(net))


def with_row(net: NetworkSpec, **rows: Layer) -> NetworkSpec:
    return replace(net, body={**net.body, **rows})


@pytest.mark.parametrize("table", TABLES.values(), ids=[" ".join(key) for key in TABLES])
def test_every_row_of_every_table_has_a_verdict(table: Table) -> None:
    assert table.rows
    for row in table.rows:
        assert row.verdict in VERDICTS, row.name


def test_no_verdict_is_written_in_the_data() -> None:
    for file in (Path(zoo.__file__).parent / "papers").glob("*.yaml"):
        words = file.read_text(encoding="utf-8").replace(",", " ").replace(":", " ").split()
        assert not {"explained", "erratum", "unexplained"} & set(words), file.name


def test_what_nothing_explains_is_known_figure_by_figure() -> None:
    table_3 = ("Inception-v2", "+ RMSProp", "+ label smoothing", "+ factorized 7x7", "+ BN-auxiliary")
    assert set(figures("unexplained")) == {
        *((f"{GOOGLENET_PAPER} Table 1", row, "params") for row in ("4c", "4d", "4e", "5a", "5b")),
        *((f"{V3} Table 3", row, "ops") for row in table_3),
    }


def test_what_another_network_or_count_explains() -> None:
    table_1, table_3 = f"{GOOGLENET_PAPER} Table 1", f"{V3} Table 3"
    assert set(figures("explained")) == {
        *((table_1, "conv1", column) for column in ("params", "ops")),
        *((table_1, "4a", column) for column in ("params", "ops")),
        (table_1, "4b", "params"),
        (table_1, "5a", "ops"),
        (f"{V3} Table 1", "6b", "modules"),
        *((table_3, row, "ops") for row in ("GoogLeNet", "BN-GoogLeNet", "BN-Inception")),
    }


def test_errata_of_the_tables() -> None:
    assert set(figures("erratum")) == {
        (f"{GOOGLENET_PAPER} Table 3", "7 x 144", "delta"),
        *((f"{BATCH_NORM} Figure 5", row, "output") for row in ("3c", "4c", "4d", "4e")),
        *((f"{V4} Figures 17 and 19", row, "filters") for row in ("B1", "C1")),
    }
    delta = figure_of(row_of(TABLES[GOOGLENET_PAPER, "Table 3"], "7 x 144"), "delta")
    assert delta.printed == -3.45
    assert delta.computed == pytest.approx(-3.40)
    filters = [figure_of(row, "filters") for row in TABLES[V4, "Figures 17 and 19"].rows]
    assert [(figure.printed, figure.computed) for figure in filters] == [(1154, 1152), (2048, 2144)]


def test_table_1_adds_up_to_what_is_said_of_it() -> None:
    rows = TABLES[GOOGLENET_PAPER, "Table 1"].rows
    total = {
        column: sum(float(figure_of(row, column).printed or 0) for row in rows) for column in ("params", "ops", "depth")
    }
    assert total == {"params": pytest.approx(6797.7), "ops": 1502, "depth": 22}
    assert "6797.7 and 1502" in TABLES[GOOGLENET_PAPER, "Table 1"].about


MODULES = [name for name, row in GOOGLENET.body.items() if isinstance(row, Fork)]


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(
    ("branch", "at", "column"),
    [(0, 0, "#1x1"), (1, 0, "#3x3red"), (1, 1, "#3x3"), (2, 0, "#5x5red"), (2, 1, "#5x5"), (3, 1, "proj")],
)
def test_a_broken_width_of_googlenet_is_unexplained(name: str, branch: int, at: int, column: str) -> None:
    fork = GOOGLENET.body[name]
    assert isinstance(fork, Fork)
    layers = [list(part) if isinstance(part, tuple) else [part] for part in fork.branches]
    conv = layers[branch][at]
    assert isinstance(conv, Conv)
    layers[branch][at] = replace(conv, out=conv.out + 1)
    broken = with_row(GOOGLENET, **{name: Fork(*(tuple(part) for part in layers))})

    row = row_of(table_1(broken), name)
    assert row.verdict == "unexplained"
    assert figure_of(row, column).verdict == "unexplained"
    assert figure_of(row, column).computed == conv.out + 1


@pytest.mark.parametrize(
    ("rows", "column", "verdict"),
    [
        ({"conv1": Conv(64, 7, 2)}, "params", "explained"),  # as it is
        ({"conv1": Conv(63, 7, 2)}, "output", "unexplained"),
        ({"conv1": Conv(64, 5, 2)}, "patch/stride", "unexplained"),
        ({"conv1": (Conv(64, 7, 2), Conv(64))}, "depth", "unexplained"),
        ({"conv1": Conv(64, 7, 1)}, "output", "unexplained"),
        ({"pool1": Pool("max", 2, 2, "valid")}, "patch/stride", "unexplained"),
        ({"conv2": (Conv(64, 3), Conv(192, 3))}, "#3x3red", "unexplained"),
    ],
)
def test_a_broken_row_of_googlenet_is_unexplained(rows: dict[str, Layer], column: str, verdict: str) -> None:
    (name,) = rows
    assert figure_of(row_of(table_1(with_row(GOOGLENET, **rows)), name), column).verdict == verdict


def test_an_erratum_is_one_only_while_our_row_is_what_the_paper_should_have_printed() -> None:
    assert row_of(figure_5(BN_INCEPTION), "4c").verdict == "erratum"
    fork = BN_INCEPTION.body["4c"]
    assert isinstance(fork, Fork)
    broken = with_row(BN_INCEPTION, **{"4c": Fork(Conv(161), *fork.branches[1:])})
    assert figure_of(row_of(figure_5(broken), "4c"), "output").verdict == "unexplained"


def test_a_row_that_a_network_lacks_is_unexplained() -> None:
    broken = replace(GOOGLENET, body={name: row for name, row in GOOGLENET.body.items() if name != "pool1"})
    row = row_of(table_1(broken), "pool1")
    assert (row.verdict, figure_of(row, "output").computed) == ("unexplained", None)


def test_an_explanation_must_give_the_printed_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETS, "googlenet_separable", replace(GOOGLENET, name="googlenet_separable"))
    assert row_of(table_1(GOOGLENET), "conv1").verdict == "unexplained"


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
        ("AlexNet's share of fully connected layers, %", "agrees", 95, pytest.approx(96.17, abs=0.005)),
        ("GoogLeNet's share of fully connected layers, %", "agrees", 15, pytest.approx(14.65, abs=0.005)),
        ("dropout before GoogLeNet's classifier, %", "erratum", 70, 40),
        ("rows with an auxiliary classifier", "erratum", "4a and 4b", "4a and 4d"),
        ("side behind pool1, as (112 - 3) / 2 + 1", "erratum", 55, 56),
    ],
)
def test_worked_examples_of_introductory_texts(claim: str, verdict: str, printed: object, computed: object) -> None:
    row = row_of(TABLES["Introductory texts", "Worked examples"], claim)
    (figure,) = row.figures
    assert (row.verdict, figure.printed, figure.computed) == (verdict, printed, computed)


def test_notes_are_computed_too() -> None:
    remarks = {row.name: row.figures[0].note for row in TABLES["Introductory texts", "Worked examples"].rows}
    assert remarks["the same behind a 1x1 to 24"] == "93.8 % less."
    assert "without them 94.0" in remarks["AlexNet's share of fully connected layers, %"]
    assert "both auxiliary classifiers, 54.4" in remarks["GoogLeNet's share of fully connected layers, %"]


def test_claims_by_verdict() -> None:
    claims = [(paper.name, row.name, row.verdict) for paper in PAPERS[:4] for row in paper.claims.rows]
    assert {claim[:2] for claim in claims if claim[2] == "unexplained"} == {
        (GOOGLENET_PAPER, "times fewer parameters than Krizhevsky's"),
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
    }


@pytest.mark.parametrize("name", NETS)
def test_every_network_has_something_to_say(name: str) -> None:
    printed, plain = text(NETS[name]), to_json(NETS[name])
    assert json.loads(json.dumps(plain)) == plain
    assert bool(plain["see"]) == ("nearest is" in printed)
    assert plain["papers"] or plain["see"]
    assert max(map(len, printed.splitlines())) <= (145 if name == "googlenet_released" else 130)
    for paper in plain["papers"]:
        for table in (*paper["tables"], *paper["accuracy"]):
            assert all(row["name"] in printed and row["verdict"] in VERDICTS for row in table["rows"])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("googlenet_bn", "googlenet"),
        ("googlenet_small", "googlenet"),
        ("nin_small", "googlenet"),
        ("vgg16_small", "vgg16"),
    ],
)
def test_a_network_without_a_table_names_the_nearest_with_one(name: str, nearest: str) -> None:
    assert f"inceptorch nets {nearest} --paper" in text(NETS[name])
    assert to_json(NETS[nearest])["see"] == ""


def test_a_table_of_ones_own_is_in_no_paper() -> None:
    with pytest.raises(TableError, match="None of the papers is about a network 'mine'"):
        text(replace(GOOGLENET, name="mine"))


def test_text_shows_printed_beside_computed_with_verdict_and_explanation() -> None:
    lines = text(GOOGLENET).splitlines()
    conv1 = next(line.split() for line in lines if line.startswith("conv1 "))
    assert conv1 == ["conv1", "7x7/2", "112x112x64", "1", "2.7", "9.25", "34", "118.0", "explained"]
    assert any(line.startswith("- conv1: params 2.71 in googlenet_separable") for line in lines)
    assert any("BVLC GoogLeNet" in line and "68.7" in line for line in lines)


def test_a_text_of_a_broken_table_says_so() -> None:
    broken = with_row(GOOGLENET, pool1=Pool("max", 2, 2, "valid"))
    line = next(line for line in text(broken).splitlines() if line.startswith("pool1 "))
    assert "3x3/2 (2x2/2)" in line
    assert line.endswith("unexplained")


def test_the_page_is_the_committed_one(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("inceptorch.papers", run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == page()
    assert (Path(__file__).parents[1] / "docs" / "papers.md").read_text(encoding="utf-8") == printed


def test_every_link_of_the_page_has_its_heading() -> None:
    whole = page()
    for paper in PAPERS:
        assert f"\n## {paper.heading}\n" in whole
        assert f"(#{paper.heading.lower().replace(' ', '-').translate({ord(sign): None for sign in ':.,'})})" in whole


def test_arithmetic_knows_networks_rows_and_nothing_else() -> None:
    nets = Nets()
    assert value_of("googlenet['conv2'].params - 64*64", nets) == 64 + 9 * 64 * 192 + 192
    assert filled("{1 - (9 + 9) / 25:.2f} and {7 * 6}", nets) == "0.28 and 42"
    for expression in ("print(1)", "2 ** 3", "[1]"):
        with pytest.raises(ValueError, match="is not arithmetic"):
            value_of(expression, nets)
