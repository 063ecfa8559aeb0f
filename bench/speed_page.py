"""The tables of docs/speed.md."""

from typing import Any


def page(engines: dict[str, Any] | None, first_answer: dict[str, Any] | None) -> str:
    """What was measured, as Markdown; nothing for a measurement that is not there."""
    lines: list[str] = []
    for network in engines["networks"] if engines else []:
        bars = ", ".join(f"{precision} {bar:g}" for precision, bar in network["bars"].items())
        lines += [
            f"`{network['net']}`, {network['macs'] / 1e9:.2f} billion multiply-adds; aimed at {bars} times:",
            "",
            "| way | "
            + " | ".join(f"{race['batch']} at a time, pictures/s | times torch" for race in network["races"])
            + " |",
            "| --- |" + " ---: | ---: |" * len(network["races"]),
        ]
        for rows in zip(*(race["rows"] for race in network["races"]), strict=True):
            cells = " | ".join(f"{row['per_second']:.1f} | {row['ratio']:.2f}" for row in rows)
            lines.append(f"| {rows[0]['way']} | {cells} |")
        same = ", ".join(f"{precision} {share:.1%}" for precision, share in network["agreement"].items())
        lines += ["", f"Same first answer as fp32 on {network['judged']} photographs: {same}.", ""]
    if first_answer:
        lines += [
            "| first answer, fresh process | s | fastest | sooner than the torch script |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {row['what']} | {row['seconds']:.2f} | {row['fastest']:.2f} | {row['ratio']:.1f} times |"
            for row in first_answer["rows"]
        ]
    return "\n".join(lines).rstrip() + "\n" if lines else ""
