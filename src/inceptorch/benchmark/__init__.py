"""Benchmarks: how fast each engine executes a classifier here, what that takes, and which rows of the network cost it."""

from inceptorch.benchmark.measuring import Measured, benchmark
from inceptorch.benchmark.rows import RowTime, row_times

__all__ = ["Measured", "RowTime", "benchmark", "row_times"]
