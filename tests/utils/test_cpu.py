"""The processors of this machine."""

import os

import pytest

from inceptorch.utils.cpu import cpuinfo, processors


def test_workers_of_one_machine_divide_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert processors() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert processors() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert processors() == 1


def test_an_unknown_key_has_no_value() -> None:
    assert cpuinfo("no such key") == ""
