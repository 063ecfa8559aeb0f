"""Receptive fields along an axis, and of both."""

from inceptorch.networks.layers import (
    AdaptiveAverage,
    Conv,
    Field,
    Fork,
    GlobalAverage,
    Layer,
    Linear,
    Pool,
    Residual,
    Span,
    as_layer,
)


def field_of(layer: Layer, size: int = 35) -> Field:
    return as_layer(layer).field(Field(), (8, size, size))


def test_windows_in_sequence_see_what_a_larger_one_sees() -> None:
    for small, large in (
        ((Conv(8, 3), Conv(8, 3)), Conv(8, 5)),
        ((Conv(8, 3), Conv(8, 3), Conv(8, 3)), Conv(8, 7)),
        ((Conv(8, (3, 1)), Conv(8, (1, 3))), Conv(8, 3)),
        ((Conv(8, 2, pad="valid"), Conv(8, 2, pad="valid")), Conv(8, 3, pad="valid")),
    ):
        assert field_of(small) == field_of(large)
    assert field_of(Conv(8, (1, 7))).size == (1, 7)


def test_a_stride_spreads_what_follows() -> None:
    assert field_of((Conv(8, 3, 2), Conv(8, 3), Pool("max", 2, 2, "valid"))) == Field(Span(-3, 9, 4), Span(-3, 9, 4))


def test_branches_are_joined_from_the_first_pixel_to_the_last() -> None:
    joined = Fork(Conv(8, 3, 2, "valid"), (Conv(8, 3), Conv(8, 3, 2, "valid")), Pool("max", 3, 2, "valid"))
    assert field_of(joined) == Field(Span(-1, 5, 2), Span(-1, 5, 2))
    assert field_of(Residual((Conv(8, (1, 3)), Conv(8)))).size == (1, 3)


def test_layers_that_see_the_whole_map() -> None:
    assert field_of((Conv(8, 3, 2), GlobalAverage()), 33).size == (
        35,
        35,
    )  # 17 places of 3 pixels, 2 apart
    assert field_of(Linear(8), 7).size == (7, 7)
    assert field_of(AdaptiveAverage(4), 14) == Field(Span(0, 4, 3), Span(0, 4, 3))
