"""The papers as data: every printed figure has a verdict, and the verdict follows the tables."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inceptorch.networks import zoo
from inceptorch.networks.layers import Conv, Fork, Layer, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.papers.quantities import Nets
from inceptorch.papers.verdicts import VERDICTS, Figure, Row, Table, evaluated, sources
from tests.papers.helpers import (
    BATCH_NORM,
    GOOGLENET,
    GOOGLENET_PAPER,
    MODULES,
    PAPERS,
    TABLES,
    V3,
    V4,
    row_of,
    with_row,
)


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


def figure_of(row: Row, column: str) -> Figure:
    return next(figure for figure in row.figures if figure.column == column)


def table_1(net: NetworkSpec) -> Table:
    return evaluated(sources()[0]["tables"][0], Nets(net))


def figure_5(net: NetworkSpec) -> Table:
    return evaluated(sources()[1]["tables"][0], Nets(net))


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
        *((table_1, row, "params") for row in ("3a", "linear")),
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
    assert row_of(figure_5(NETS["bn_inception"]), "4c").verdict == "erratum"
    fork = NETS["bn_inception"].body["4c"]
    assert isinstance(fork, Fork)
    broken = with_row(NETS["bn_inception"], **{"4c": Fork(Conv(161), *fork.branches[1:])})
    assert figure_of(row_of(figure_5(broken), "4c"), "output").verdict == "unexplained"


def test_a_row_that_a_network_lacks_is_unexplained() -> None:
    broken = replace(GOOGLENET, body={name: row for name, row in GOOGLENET.body.items() if name != "pool1"})
    row = row_of(table_1(broken), "pool1")
    assert (row.verdict, figure_of(row, "output").computed) == ("unexplained", None)


def test_an_explanation_must_give_the_printed_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETS, "googlenet_separable", replace(GOOGLENET, name="googlenet_separable"))
    assert row_of(table_1(GOOGLENET), "conv1").verdict == "unexplained"
