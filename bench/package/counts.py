"""What the package has grown to: names, floors, lines, long functions and what has no test, for any revision.

    python -m bench counts [REVISION...]

Counted is the working tree, and beside it each git revision given; revisions counted earlier stay in the result.

`copies of the inference path` are the source files outside `engines/`, `inference/` and the module's own definition
that call a forward pass on images themselves: `engine.logits(...)`, `classifier.probabilities(...)`, `model(...)`
and the like, told by the method and by the name of what it is called on. A renamed variable could hide one, so the
files are listed in the result.

`unmirrored` are the files of src/inceptorch/PACKAGE/MODULE.py without a tests/PACKAGE/test_MODULE.py; `not imported
by a test` is the weaker count, files that no test module names in an import.
"""

import ast
import io
import re
import subprocess
import tempfile
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.common import ROOT, Record, command, result

WORKING_TREE = "working tree"
LONGEST_FUNCTION, LONGEST_LINE = 60, 120
FORWARD = {"answer", "forward", "logits", "probabilities", "run"}
OWNER = re.compile(r"(engine|model|module|classifier|session|opened|first)$")
OUTSIDE = re.compile(r"^(engines|inference|models)/|^model\.py$")  # beside these
SHOWN = {
    "names": "names at the top of the package",
    "floors": "floors",
    "lines": "lines of src",
    "inference_paths": "copies of the inference path",
    "long_functions": f"functions over {LONGEST_FUNCTION} lines",
    "picture": "`picture` in identifiers and options",
    "unmirrored": "files of src without a mirroring test file",
    "not_imported": "files of src not imported by a test",
    "long_lines": f"lines over {LONGEST_LINE} columns in src, tests and bench",
    "used_once": "private module-level functions used once",
}


def run(*revisions: str) -> Record:
    kept = {row["tree"]: row for row in (result("counts") or {"rows": []})["rows"]}
    for revision in revisions:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            words = ["git", "rev-parse", "--short=12", f"{revision}^{{commit}}"]
            commit = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
            kept[revision] = {"tree": revision, "commit": commit, **counts(Path(folder))}
    kept.pop(WORKING_TREE, None)
    rows = [*kept.values(), {"tree": WORKING_TREE, **counts(ROOT)}]
    return {"n": {"trees": len(rows)}, "rows": rows}


def render(record: Record) -> str:
    rows = record["rows"]
    parts = [f"## Size of the package\n\n`{command(record)}`\n"]
    parts.append(f"| | {' | '.join(row['tree'] for row in rows)} |\n| --- |" + " ---: |" * len(rows))
    for name, words in SHOWN.items():
        values = (row[name] if isinstance(row[name], int) else len(row[name]) for row in rows)
        parts.append(f"| {words} | {' | '.join(f'{value:,}' for value in values)} |")
    return "\n".join(parts)


def counts(root: Path) -> Record:
    """All counts of one tree; of what can be few, the names."""
    package = root / "src" / "inceptorch"
    sources = {str(file.relative_to(package)): file.read_text() for file in sorted(package.rglob("*.py"))}
    trees = {name: ast.parse(text) for name, text in sources.items()}
    tests = [file for file in sorted((root / "tests").rglob("*.py")) if file.name.startswith("test_")]
    files = [file for folder in ("src", "tests", "bench") for file in (root / folder).rglob("*.py")]
    return {
        "names": sum(is_name(path) for path in package.iterdir()),
        "floors": floors(root / "pyproject.toml"),
        "lines": sum(len(text.splitlines()) for text in sources.values()),
        "inference_paths": [name for name, tree in trees.items() if not OUTSIDE.match(name) and infers(tree)],
        "long_functions": [f"{name}:{each}" for name, tree in trees.items() for each in long_functions(tree)],
        "picture": sum(pictures(text) for text in sources.values()),
        "unmirrored": unmirrored(sources, {str(file.relative_to(root / "tests")) for file in tests}),
        "not_imported": not_imported(sources, tests),
        "long_lines": sum(len(line) > LONGEST_LINE for file in files for line in file.read_text().splitlines()),
        "used_once": sum(used_once(trees[name], text) for name, text in sources.items()),
    }


def is_name(path: Path) -> bool:
    """Whether it is a public module or package."""
    return not path.name.startswith(("_", ".")) and (path.suffix == ".py" or (path / "__init__.py").exists())


WHOLE = ["inceptorch"]


def floors(pyproject: Path) -> int:
    """The layers of import-linter's contract on the whole package."""
    contracts = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]["contracts"]
    whole = (each for each in contracts if each["type"] == "layers" and each.get("containers", WHOLE) == WHOLE)
    return max(len(each["layers"]) for each in whole)


def infers(tree: ast.Module) -> bool:
    """Whether something in it calls a forward pass."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in FORWARD and OWNER.search(last_name(called.value)):
                return True
            if last_name(called) in ("model", "module"):
                return True
    return False


def last_name(node: ast.expr) -> str:
    """`model` of `model`, `self.model` and `work.classifier.model`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def long_functions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION:
                yield node.name


def pictures(text: str) -> int:
    """Names, and strings that begin an option, with `picture` in them."""
    return sum(
        "picture" in token.string.lower()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME or (token.type == tokenize.STRING and token.string[1:].startswith("--"))
    )


def unmirrored(sources: dict[str, str], tests: set[str]) -> list[str]:
    """The files without a test file of the same place and name; an `__init__.py` need not have one."""
    files = [Path(name) for name in sources if not Path(name).name.startswith("__")]
    return [str(file) for file in files if str(file.with_name(f"test_{file.name}")) not in tests]


def not_imported(sources: dict[str, str], tests: list[Path]) -> list[str]:
    imported = set[str]()
    for file in tests:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    files = [name for name in sources if not Path(name).name.startswith("__")]
    return [name for name in files if "inceptorch." + name.removesuffix(".py").replace("/", ".") not in imported]


def used_once(tree: ast.Module, text: str) -> int:
    """Private functions of the module that its text names but once beside their definition."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    times = Counter(token.string for token in tokens if token.type == tokenize.NAME)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sum(name.startswith("_") and times[name] == 2 for name in functions)
