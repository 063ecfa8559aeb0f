"""Measurements: run them, save their results, rewrite the documents that show them.

    python -m bench                          what there is
    python -m bench NAME [WORD...] [NAME...]  run, save bench/results/NAME.json, rewrite the documents
    python -m bench --all                    run everything but what takes a request
    python -m bench --render                 rewrite the documents from the results
    python -m bench --check                  exit code 1 where a document does not say what the results say

A measurement is a file bench/SUBJECT/NAME.py with `run(*words) -> record` and `render(record) -> Markdown`. A document
shows it between `<!-- bench: NAME -->` and `<!-- /bench -->`. Files named *_plain.py are the peers, not measurements.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from types import ModuleType

from bench.common import DOCS, ROOT, on_machine, provenances, result, save
from bench.ideas import rows

HERE = Path(__file__).parent
WIDTH = 120  # columns of a line of a document
BLOCK = re.compile(r"(<!-- bench: ([\w ]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
ON_REQUEST = {"before_after", "fid", "fid_speed", "finetune_pieces", "gpu", "mutants", "pillow_images", "same_bits"}


def names() -> dict[str, Path]:
    """The file of every measurement, by its name."""
    files = sorted(HERE.glob("*/*.py"))
    return {file.stem: file for file in files if not file.stem.startswith("_") and not file.stem.endswith("_plain")}


def module(name: str) -> ModuleType:
    return import_module(f"bench.{names()[name].parent.name}.{name}")


def listing() -> str:
    """Every measurement with the first line of its docstring, by subject."""
    lines, subject = [], ""
    for name, file in names().items():
        if file.parent.name != subject:
            subject = file.parent.name
            lines.append(f"{subject}:")
        docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
        lines.append(f"  {name:<16} {docstring.partition(chr(10))[0]}")
    return "\n".join(lines)


def shown(words: str) -> str:
    """What a document says between the marks of `words`: one measurement, or "summary" and several."""
    name, *others = words.split()
    if name == "idea":
        return rows(" ".join(others)) + "\n"
    if name == "summary":
        return summary(others)
    record = result(name)
    if record is None:
        return f"`python -m bench {name}` was not run yet.\n"
    text: str = module(name).render(record)
    where = "\n\n".join(wrapped(f"*{each}*") for each in provenances(record))
    return f"{wrapped(text.strip())}\n\n{where}\n"


def wrapped(text: str) -> str:
    """Markdown with its paragraphs at most 120 columns wide; a table's rows, headings and drawings stay as they are."""
    lines = []
    for line in text.split("\n"):
        indent = "  " if line.startswith("- ") else ""
        short = len(line) <= WIDTH or line.startswith(("|", "#", "!"))
        lines += [line] if short else wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(lines)


def summary(chosen: list[str]) -> str:
    """README's table: a row of each measurement that was made, with its day and machine."""
    rows = ["| what | correct, 95 % interval | time | measured |", "| --- | --- | --- | --- |"]
    for name in chosen:
        if record := result(name):
            gpu = record["machine"].get("gpu") or "no GPU"
            where = f"{record['measured']}, {on_machine(record)}, {gpu}, torch {record['versions']['torch']}"
            rows.append(f"| {' | '.join(module(name).summary(record))} | {where} |")
    return "\n".join(rows) + "\n"


def render(write: bool) -> list[str]:
    """Rewrite the documents; the names of those that did not say what the results say."""
    wrong = []
    for path in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        before = path.read_text()
        after = BLOCK.sub(lambda found: found[1] + shown(found[2]) + found[3], before)
        if after != before:
            wrong.append(path.name)
            if write:
                path.write_text(after)
    return wrong


def chosen(words: list[str]) -> list[list[str]]:
    """The words by measurement: each name begins one, the words after it are its own."""
    known, runs = names(), list[list[str]]()
    for word in words:
        if word in known:
            runs.append([word])
        elif runs:
            runs[-1].append(word)
        else:
            sys.exit(f"Cannot run {word}: there is no measurement of this name. Try python -m bench.")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measurements and their documents.")
    parser.add_argument("words", nargs="*", metavar="NAME [WORD...]", help="measurements to run, with their words")
    parser.add_argument("--all", action="store_true", help=f"run all but {' and '.join(sorted(ON_REQUEST))}")
    parser.add_argument("--render", action="store_true", help="rewrite the documents from the results")
    parser.add_argument("--check", action="store_true", help="only say whether the documents agree with the results")
    options = parser.parse_args()
    if options.check:
        wrong = render(write=False)
        sys.exit(f"{' and '.join(wrong)}: not what bench/results says. Try python -m bench --render." if wrong else 0)
    runs = [[name] for name in names() if name not in ON_REQUEST] if options.all else chosen(options.words)
    if not runs and not options.render:
        print(listing())
        return
    if len(runs) == 1:
        (name, *words), *_ = runs
        print(json.dumps(save(name, module(name).run(*words), words), indent=2))
    else:  # in processes of their own, as some set threads and caches for theirs
        for words in runs:
            subprocess.run([sys.executable, "-m", "bench", *words], check=True)
    render(write=True)


if __name__ == "__main__":
    main()
