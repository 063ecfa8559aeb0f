"""The tables of docs/check.md: what `inceptorch check` looks for, and how well it finds it."""

from typing import Any

from inceptorch.check import KINDS
from inceptorch.check.alike import ALIKE, RADIUS


def page(record: dict[str, Any]) -> str:
    """The part of docs/check.md that follows the code and the figures of bench/results/near_duplicates.json."""
    parts = ["## What is looked for\n", "| finding | | what it is | what to do |\n| --- | --- | --- | --- |"]
    for name, kind in KINDS.items():
        parts.append(f"| {name} | {kind.severity} | {kind.what} | {kind.remedy} |")
    return "\n".join(parts + _changes(record) + _search(record) + _speed(record)) + "\n"


def _changes(record: dict[str, Any]) -> list[str]:
    found = record["distances"]
    parts = [
        f"\n## Where the bounds come from\n\n`{record['command']}`: the share of changed pictures that are told from their "
        f"originals, and for the worst one in a hundred the bits in which the hashes differ (at most {RADIUS} are looked "
        f"at) and the correlation of the slopes (at least {ALIKE:g} is taken for the same picture).\n"
    ]
    parts.append("| change | " + " | ".join(f"{name}: found | bits | correlation" for name in found) + " |")
    parts.append("| --- |" + " --- | --- | --- |" * len(found))
    for rows in zip(*(one["changes"] for one in found.values()), strict=True):
        cells = [f"{row['found']:.1%} | {row['bits_99']:.0f} | {row['alike_1']:.2f}" for row in rows]
        parts.append(f"| {rows[0]['change']} | {' | '.join(cells)} |")
    parts.append(
        "\nOf all pairs of these pictures as they are; what was looked at of the flowers taken for the same is so indeed:\n"
    )
    parts.append("| pictures | pairs | with like hashes | taken for the same | the highest correlations |")
    parts.append("| --- | --- | --- | --- | --- |")
    for name, one in found.items():
        pairs = one["different"]
        most = ", ".join(f"{value:.2f}" for value in pairs["most_alike"][::-1]) or "none"
        parts.append(
            f"| {one['pictures']:,} {name} | {pairs['pairs']:,} | {pairs['of_like_hashes']} | {pairs['alike']} | {most} |"
        )
    return parts


def _search(record: dict[str, Any]) -> list[str]:
    memory, search, cifar = record["memory"], record["search"], record["cifar10"]
    return [
        f"\n## The search\n\nAmong {search['pictures']:,} random fields, {search['planted']:,} of them changed ones of others: "
        f"{search['recall']:.1%} of these found, {search['false_pairs']} false pairs, {search['seconds']:.1f} s ({search['cpu_seconds']:.1f} s of a core), "
        f"{memory['search_mb']:.0f} MB beside the {memory['rows_mb']:.0f} MB of the rows themselves.",
        f"\nOf CIFAR-10's test pictures, {cifar['test_pictures_told']} ({cifar['share_of_test']:.2%}) are told to be among the "
        f"training pictures too, or nearly so; Barz and Denzler (arXiv:1902.00423) found 3.25 % by looking. The whole check of "
        f"its {cifar['pictures']:,} pictures took {cifar['seconds']:.0f} s ({cifar['cpu_seconds']:.0f} s of a core).",
    ]


def _speed(record: dict[str, Any]) -> list[str]:
    whole = record["whole"]
    parts = [
        f"\n## Whole checks\n\n{whole['pictures']:,} JPEG files of {whole['pixels']} pixels, {whole['mean_bytes'] / 1000:.0f} kB "
        f"each, on {record['machine']['cores']} cores of an {record['machine']['processor']}, beside other work (load {record['load']:.1f}).\n",
        "| what | pictures/s | for each second of a core |\n| --- | --- | --- |",
    ]
    return parts + [
        f"| {name} | {value:,.0f} | {whole['per_cpu_second'][name]:,.0f} |"
        for name, value in whole["per_second"].items()
    ]
