"""The lines of the table, and which of them a claim compares."""

from inceptorch.papers.studies.detection_2014.rows import CLAIMS, Row, main_set, rows

ALL = ("selective-search", "both", "boxes")


def test_rows_have_one_network_and_all_and_the_main_set_those_between() -> None:
    found = list(rows(ALL, 6))
    assert len(set(found)) == len(found) == 3 * 8 + 4
    assert [row.networks for row in found if row == Row("both", False, False, row.networks)] == [1, 2, 3, 4, 5, 6]
    assert [row.networks for row in found if row == Row("boxes", True, False, row.networks)] == [1, 6]
    assert len(list(rows(["grid"], 1))) == 4
    assert (main_set(ALL), main_set(["grid", "boxes"])) == ("both", "grid")


def test_claims_compare_rows_that_there_are() -> None:
    found = set(rows(ALL, 6))
    compared = [claim.rows(ALL, 6) for claim in CLAIMS]
    assert all(one in found and other in found and one != other for one, other in compared)
    assert compared[0] == (Row("both", False, False, 1), Row("selective-search", False, False, 1))
    assert compared[1] == (Row("both", False, False, 6), Row("both", False, False, 1))
    assert compared[2] == (Row("both", True, True, 1), Row("both", False, False, 1))
