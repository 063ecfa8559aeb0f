"""What a check found: as lines for a terminal, and as a page that holds all it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PIL import Image

from inceptorch.check.findings import KINDS, Finding, Findings
from inceptorch.errors import ImageError
from inceptorch.webpage import address, document

LINES = 5  # findings of a kind on a terminal
TOGETHER = 3  # files of a finding on a line
CARDS, ON_A_CARD = 40, 8  # findings of a kind with pictures on the page, pictures of a finding
MOST_PICTURES = 800  # on the page, of about 4 kB each
SIDE = 128  # of a picture on the page, at most

STYLE = """
:root { --error: #b3261e; --warning: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --error: #ff8a80; --warning: #e8b64c } }
body { overflow-wrap: anywhere }
.error { color: var(--error) } .warning { color: var(--warning) } .remark { color: var(--blue) }
.soft, summary { color: var(--soft) }
p { margin: .3em 0 }
table { margin: 1em 0; width: 100% }
td { border-top: 1px solid var(--line); padding: .3em .6em .3em 0; vertical-align: top }
td:first-child { text-align: right; width: 4em }
a { color: inherit }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(290px, 100%), 1fr)); gap: 11px; margin: 11px 0 }
figure { border: 1px solid var(--line); border-radius: 6px; padding: 10px }
figure div { display: flex; flex-wrap: wrap; gap: 6px }
figure img { display: block; border-radius: 3px; max-width: 100% }
figcaption { font-size: .85em; margin-top: .4em }
figcaption b { color: var(--ink); font-weight: normal; display: block }
li { margin: .25em 0; font-size: .9em }
@media print { details > ul { display: block } figure { break-inside: avoid } }
"""


def lines(findings: Findings) -> list[str]:
    """The findings of every kind for a terminal: how many, the first of them, and what to do."""
    found: list[str] = []
    for kind, mine in findings.by_kind.items():
        found.append(f"{KINDS[kind].severity}: {kind}, {len(mine)}: {KINDS[kind].what}")
        found += [f"  {_line(one)}" for one in mine[:LINES]]
        if len(mine) > LINES:
            found.append(f"  and {len(mine) - LINES} more")
        found += [f"  -> {KINDS[kind].remedy}", ""]
    return [*found, *findings.caveats, f"{_looked_at(findings)} {_verdict(findings)}"]


def html(findings: Findings) -> str:
    """The page: every finding with its files, the first of each kind with their pictures."""
    pictures = _pictures(findings)
    title = f"check of {findings.data}"
    rows, sections = [], []
    for kind, found in findings.by_kind.items():
        severity = f'<span class="{KINDS[kind].severity}">{KINDS[kind].severity}</span>'
        what = escape(KINDS[kind].what)
        rows.append(f'<tr><td>{len(found)}</td><td><a href="#{kind}">{severity} {kind}</a>: {what}</td></tr>')
        on_cards = [one for one in found[:CARDS] if any(number in pictures for number in one.pictures)]
        rest = [one for position, one in enumerate(found) if position >= CARDS or one not in on_cards]
        cards = "".join(_card(one, findings.data, pictures) for one in on_cards)
        sections.append(
            f'<section><h2 id="{kind}">{severity} {kind}: {len(found)}</h2>'
            f'<p>{what[0].upper() + what[1:]}. <span class="soft">{escape(KINDS[kind].remedy)}</span></p>'
            + (f'<div class="cards">{cards}</div>' if cards else "")
            + _list(rest, findings.data, "more" if cards else "in all")
            + "</section>"
        )
    verdict = f'<strong class="{"remark" if findings.safe else "error"}">{escape(_verdict(findings))}</strong>'
    return document(
        title,
        STYLE,
        f"<h1>{escape(title)}</h1>\n<p>{escape(_looked_at(findings))} {verdict}</p>\n"
        + "".join(f'<p class="soft">{escape(caveat)}</p>\n' for caveat in findings.caveats)
        + (f"<table>{''.join(rows)}</table>\n" if rows else "")
        + "\n".join(sections),
    )


def _looked_at(findings: Findings) -> str:
    survey = findings.survey
    parts = [f"{len(split)} in {name}" for name, split in survey.splits.items() if name]
    divided = f" ({', '.join(parts)})" if parts else ""
    classes = len(survey.classes)
    return f"{len(survey)} pictures{divided} of {classes} {'class' if classes == 1 else 'classes'}."


def _verdict(findings: Findings) -> str:
    counts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in findings.counts().items() if count]
    if not counts:
        return "Nothing was found: training is safe."
    return f"{', '.join(counts)}: training is {'safe' if findings.safe else 'not safe'}."


def _line(finding: Finding) -> str:
    """A finding on one line."""
    shown = " = ".join(finding.files[:TOGETHER])
    if len(finding.files) > TOGETHER:
        shown += f" and {len(finding.files) - TOGETHER} more"
    return f"{shown}: {finding.note}" if len(finding.files) > 1 else f"{shown} {finding.note}"


def _card(finding: Finding, data: str, pictures: dict[int, str]) -> str:
    """A finding with its pictures."""
    images = "".join(
        f'<img src="{pictures[number]}" alt="{escape(file)}">'
        for number, file in zip(finding.pictures, finding.files, strict=True)
        if number in pictures
    )
    names = [f"<b>{_name(file, data)}</b>" for file in finding.files]
    files = "".join(names[:ON_A_CARD])
    if len(names) > ON_A_CARD:
        more = "".join(names[ON_A_CARD:])
        files += f"<details><summary>and {len(names) - ON_A_CARD} more</summary>{more}</details>"
    return f"<figure><div>{images}</div><figcaption>{files}{escape(finding.note)}</figcaption></figure>"


def _name(file: str, data: str) -> str:
    """A file's name within DATA, which is in the title."""
    return escape(file.removeprefix(data.rstrip("/") + "/"))


def _list(found: Sequence[Finding], data: str, word: str) -> str:
    """Findings without their pictures; many are folded away."""
    if not found:
        return ""
    items = "".join(
        f'<li>{"<br>".join(_name(file, data) for file in one.files)}<br><span class="soft">{escape(one.note)}</span></li>'
        for one in found
    )
    begin = "<details open>" if len(found) <= CARDS else "<details>"
    return f"{begin}<summary>{len(found)} {word}</summary><ul>{items}</ul></details>"


def _pictures(findings: Findings) -> dict[int, str]:
    """The pictures of the first findings of every kind, small, as addresses that hold them; by number."""
    wanted = dict.fromkeys(
        number for found in findings.by_kind.values() for one in found[:CARDS] for number in one.pictures[:ON_A_CARD]
    )
    addresses = {number: _address(findings, number) for number in list(wanted)[:MOST_PICTURES]}
    return {number: address for number, address in addresses.items() if address}


def _address(findings: Findings, number: int) -> str:
    """A picture as a data: address; "" if it cannot be read."""
    if not findings.survey.readable[number]:
        return ""
    try:
        picture = findings.survey.image(number)
    except ImageError:
        return ""
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return address(picture)
