"""Evaluated tables in words."""

from inceptorch.papers.grids import about, grid, notes
from inceptorch.papers.verdicts import Figure, Row, Table

AGREES = Figure("width", 64, 64, "agrees")
TABLE = Table(
    "Table",
    "Widths.",
    "layer",
    (Row("conv1", (AGREES,)), Row("conv2", (Figure("width", 64, 63, "unexplained", "1 above", "A slip."),))),
)


def test_a_computed_figure_follows_where_it_differs() -> None:
    assert grid(TABLE) == [
        ["layer", "width", "verdict"],
        ["conv1", "64", "agrees"],
        ["conv2", "64 (63)", "unexplained"],
    ]
    assert notes(TABLE) == [("conv2", "width 1 above. A slip.")]


def test_a_table_of_measurements_has_no_verdicts() -> None:
    quoted = Table("Table", "Errors.", "network", (Row("a", (Figure("top-5", 6.67, verdict="quoted"),)),))
    assert grid(quoted) == [["network", "top-5"], ["a", "6.67"]]
    assert about(quoted) == "Errors. All rows are quoted."
