"""Faults put into the package one at a time, and whether its tests notice.

    python -m bench mutants [N [SEED [PROCESSES [SECONDS]]]]

N faults (200 by default), as many of each kind, are drawn from the sources. Each is made in a copy of the working tree,
whose tests then run until the first failure: those of the file first, then those of the files that import it, nearest
first. A test that fails, or takes more than half of SECONDS (300 by default), must pass without the fault. `timeout`
means that no test had failed after SECONDS. `mutants_equivalent.yaml` lists faults that change nothing a test could
see; they are not drawn.

The draw depends on each fault and on SEED only, so that it hardly changes with other lines. Every outcome is written to
.cache/mutants.jsonl at once, and a fault that was killed is not tried again. Delete that file to try all.
"""

import ast
import copy
import difflib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import grimp
import yaml

from bench.common import ROOT, SHARED, Record, command

PACKAGES = (
    *("training", "tasks", "evaluation", "inference", "images", "data", "deployment", "serve", "classifier"),
    *("networks", "explanation", "checks"),
)
KINDS = ("comparison", "arithmetic", "constant", "condition", "keyword", "return")
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div},
}
GUARDS = {"strict", "encoding", "stacklevel"}  # keywords that matter on other systems or after other faults only
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.yaml")
KEPT = ROOT / ".cache" / "mutants.jsonl"


class Mutant(NamedTuple):
    kind: str
    file: Path  # relative to the tree
    line: int
    before: str  # the whole file
    after: str

    @property
    def diff(self) -> str:
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def run(count: str = "200", seed: str = "0", processes: str = "", seconds: str = "300") -> Record:
    equivalent = yaml.safe_load(EQUIVALENT.read_text()) or []
    known = {(each["file"], each["diff"].strip()) for each in equivalent}
    named = {(str(each.file), each.diff): each for each in all_mutants()}  # one of those that read the same in a file
    mutants = [each for name, each in named.items() if name not in known]
    graph, killed = grimp.build_graph("inceptorch", cache_dir=None), kept()
    workers = int(processes or os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(workers):
            trees.put(Tree(Path(folder) / str(number), int(seconds)))

        def outcome(mutant: Mutant) -> Record:
            row: Record = {"kind": mutant.kind, "file": str(mutant.file), "line": mutant.line, "diff": mutant.diff}
            if earlier := killed.get((row["file"], row["diff"])):
                return row | earlier
            tree = trees.get()
            try:
                row |= tree.outcome(mutant, *tests_of(mutant.file, graph))
            finally:
                trees.put(tree)
            with KEPT.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{row['outcome']:<8} {mutant.file}:{mutant.line} {row.get('test', '')}", file=sys.stderr)
            return row

        mutated = list(pool.map(outcome, drawn(mutants, int(count), int(seed))))
    return {
        "n": {"mutants": len(mutated), "possible": len(mutants)},
        "seed": int(seed),
        "limit_seconds": int(seconds),
        "mutants": mutated,
        "equivalent": equivalent,
    }


def kept() -> dict[tuple[str, str], Record]:
    """The test that noticed, of each fault that was killed in an earlier run, by its file and its changed lines."""
    KEPT.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    return {
        (row["file"], row["diff"]): {"outcome": "killed", "test": row["test"]}
        for row in rows
        if row["outcome"] == "killed"
    }


def all_mutants() -> Iterator[Mutant]:
    """Every fault that can be made, in the order of the sources."""
    for package in PACKAGES:
        for path in sorted((ROOT / "src" / "inceptorch" / package).rglob("*.py")):
            source = path.read_text()
            for kind, node, text in changes(ast.parse(source)):
                yield Mutant(kind, path.relative_to(ROOT), node.lineno, source, replaced(source, node, text))


def changes(tree: ast.AST) -> Iterator[tuple[str, ast.expr, str]]:
    """The kind of each fault, the expression that it is in, and what to write instead."""
    match tree:
        case ast.JoinedStr():  # its parts have no place of their own before Python 3.12
            return
        case ast.Compare(ops=[operator]):
            yield "comparison", tree, swapped(tree, "ops", [SWAPPED[type(operator)]()])
        case ast.BinOp(op=operator) if type(operator) in SWAPPED and not is_text(tree.left) and not is_text(tree.right):
            yield "arithmetic", tree, swapped(tree, "op", SWAPPED[type(operator)]())
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield from (("constant", tree, repr(other)) for other in {value + 1, 2 * value} if other != value)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if ast.unparse(test) != "TYPE_CHECKING":
            yield "condition", test, f"not ({ast.unparse(test)})"
        case ast.comprehension(ifs=[test]):
            yield "condition", test, f"not ({ast.unparse(test)})"
        case ast.Call(keywords=keywords):
            for dropped in keywords:
                if dropped.arg not in GUARDS:
                    yield "keyword", tree, swapped(tree, "keywords", [each for each in keywords if each is not dropped])
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            truth = isinstance(value, ast.Compare | ast.BoolOp) or ast.unparse(value) in ("True", "False")
            yield "return", value, f"not ({ast.unparse(value)})" if truth else "None"
    for name, value in ast.iter_fields(tree):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from changes(child)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def swapped(node: ast.expr, field: str, value: object) -> str:
    changed = copy.copy(node)
    setattr(changed, field, value)
    return ast.unparse(changed)


def replaced(source: str, node: ast.expr, text: str) -> str:
    """The source with `text` in the place of `node`; the columns of Python's trees count bytes."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)
    first, last = lines[node.lineno - 1][: node.col_offset], lines[node.end_lineno - 1][node.end_col_offset :]
    lines[node.lineno - 1 : node.end_lineno] = [first + text.encode() + last]
    return b"".join(lines).decode()


def drawn(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """As many of each kind, in an order that the hash of each decides."""

    def place(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.file} {mutant.diff}".encode()).digest()

    chosen = list[Mutant]()
    for number, kind in enumerate(KINDS):
        some = count // len(KINDS) + (number < count % len(KINDS))
        chosen += sorted((each for each in mutants if each.kind == kind), key=place)[:some]
    return chosen


def tests_of(file: Path, graph: grimp.ImportGraph) -> tuple[list[str], list[str]]:
    """The test files of a source file, and those of the files that import it, nearest first."""
    module = ".".join(file.relative_to("src").with_suffix("").parts).removesuffix(".__init__")
    modules, found = [module], list[list[str]]()
    for each in modules:  # it grows meanwhile
        place = Path("tests", *each.split(".")[1:])
        patterns = (f"test_{place.name}.py", f"test_{place.name}_*.py")
        tests = [test for pattern in patterns for test in sorted((ROOT / place.parent).glob(pattern))]
        found.append([str(test.relative_to(ROOT)) for test in tests])
        importers = set(graph.find_modules_that_directly_import(each))
        package = each.rpartition(".")[0]
        if package not in ("", "inceptorch"):  # a package's names come of its files, when they are asked for
            importers |= graph.find_modules_that_directly_import(package)
        new, own = sorted(importers - set(modules)), each.split(".")[:2]  # its package's come first
        modules += [other for other in new if other.split(".")[:2] == own]
        modules += [other for other in new if other.split(".")[:2] != own]
    return found[0], list(dict.fromkeys(chain(*found[1:])))


class Tree:
    """A copy of the working tree in which one fault at a time is made."""

    def __init__(self, root: Path, seconds: int) -> None:
        self.root, self.seconds, self.sound = root, seconds, set[str]()
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes((ROOT / name).read_bytes())

    def outcome(self, mutant: Mutant, own: list[str], others: list[str]) -> Record:
        """Whether a test fails, and which."""
        (self.root / mutant.file).write_text(mutant.after)
        try:
            for tests in filter(None, (own, others)):
                code, output = self.pytest(tests)
                if code not in (0, 5):  # 5: there was no test to run
                    break
            else:
                return {"outcome": "survived"}
        finally:
            (self.root / mutant.file).write_text(mutant.before)
        if code is None:
            return {"outcome": "timeout"}
        test = failed(output) or tests[0]  # without one, the fault kept pytest from beginning
        if test not in self.sound and self.pytest([test])[0] != 0:
            sys.exit(f"Cannot measure: {test} fails without a fault, too.\n{output[-2000:]}")
        self.sound.add(test)
        return {"outcome": "killed", "test": test}

    def pytest(self, tests: list[str]) -> tuple[int | None, str]:
        """pytest's exit code, None when the time was over, and what it printed."""
        paths = [self.root / "src", self.root]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",  # two faults of one second and one size would share their bytecode
            "INCEPTORCH_SHARED": str(SHARED),
            "OMP_NUM_THREADS": "1",
        }
        words = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-m", "not browser"]
        words += ["-o", f"faulthandler_timeout={self.seconds // 2}", "-o", "faulthandler_exit_on_timeout=true"]
        words += ["--basetemp", str(self.root.with_name(f"{self.root.name}-tmp")), *tests]
        with subprocess.Popen(
            words,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=self.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with what the tests had started
                return None, ""
        return process.returncode, output


def failed(output: str) -> str | None:
    """The test that failed or did not end, of what pytest printed."""
    if found := re.search(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", output, re.MULTILINE):
        return found[1]
    found = re.search(r'File ".+?/\d+/(tests/.+?)", line \d+ in (test_\w+)', output)
    return f"{found[1]}::{found[2]}" if found else None


def render(record: Record) -> str:
    rows, outcomes = record["mutants"], ("killed", "survived", "timeout")
    parts = [f"## Faults that the tests notice\n\n`{command(record)}`\n"]
    parts.append(
        f"{len(rows)} of {record['n']['possible']:,} possible faults, drawn with seed {record['seed']}; "
        f"{record['limit_seconds']} s for the tests of each. Tests were written for those of this draw that had "
        "survived, so that more faults of another draw survive.\n"
    )
    parts.append(f"| package | {' | '.join(outcomes)} |\n| --- |" + " ---: |" * len(outcomes))
    for package in (*PACKAGES, "all"):
        mine = [row["outcome"] for row in rows if package in ("all", Path(row["file"]).parts[2])]
        parts.append(f"| {package} | {' | '.join(str(mine.count(each)) for each in outcomes)} |")
    for row in rows:
        if row["outcome"] != "killed":
            parts.append(f"\n{row['outcome']}: {row['file']}:{row['line']}\n\n```diff\n{row['diff']}\n```")
    if record["equivalent"]:
        parts.append("\nNot drawn, as they change nothing that a test could see:\n")
        parts += [f"- `{each['file']}`: {each['reason']}" for each in record["equivalent"]]
    return "\n".join(parts)
