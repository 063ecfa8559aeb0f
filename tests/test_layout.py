"""Tests and measurements stand apart: neither imports the other, and no test module imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported(file: Path) -> Iterator[str]:
    """The modules that a file may import, "a.b" also for `from a import b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def importers(folder: str, of: str) -> list[str]:
    """The files in `folder` that import a module whose name begins with `of`."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return [str(file.relative_to(ROOT)) for file in files if any(f"{name}.".startswith(of) for name in imported(file))]


def test_tests_and_measurements_do_not_import_each_other() -> None:
    assert importers("tests", "bench.") == []
    assert importers("bench", "tests.") == []
    assert importers("src", "tests.") + importers("src", "bench.") == []


def test_no_test_module_imports_another() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    wrong = {str(file): name for file in files for name in imported(file) if ".test_" in f".{name}"}
    assert wrong == {}
