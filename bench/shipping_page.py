"""What was measured of exported files, of folders and of the server, as tables for docs/."""

from __future__ import annotations

from typing import Any

Result = dict[str, Any]


def shipping(agreement: Result | None, install: Result | None) -> str:
    return "\n".join([_agreement(agreement) if agreement else "", _install(install) if install else ""]).rstrip() + "\n"


def predicting(found: Result | None) -> str:
    if found is None:
        return ""
    rates, allowed = found["pictures_per_second"], found["of_what_is_allowed"]
    rows = "\n".join(f"| {name} | {rate:.1f} |" for name, rate in rates.items())
    size, quality = found["jpeg"]["size"], found["jpeg"]["quality"]
    return f"""
## Measured

`{found["command"]}`, on {_machine(found)}: {found["pictures"]} JPEG photographs of {size[0]}x{size[1]}, quality {quality}, {found["net"]}
on {found["engine"]}, the way that `auto` chose, {_calls(found["at_once"])} at once with {found["batch"]} pictures each. The usual script
is `bench/folder_plain.py`: Pillow, torchvision's transforms, eager torch, batches of 32, two loading processes.

| what | pictures per second |
| --- | --- |
{rows}

That is {found["times_the_usual_script"]:.1f} times the usual script, from the shell to the last line written, and
{allowed["inceptorch predict"]:.0%} of what decoding alone and the network alone would allow one after the other on these cores
({allowed["overlap"]:.0%} without starting the process). Probabilities differ from the script's by at most
{found["largest_difference_of_a_probability"]:.3f}.
"""


def serving(found: Result | None) -> str:
    if found is None:
        return ""
    loads = (
        ("one connection", None),
        (f"{found['connections']} connections without pause", "full_load"),
        ("half of that, evenly spaced", "half_load_evenly"),
        ("half of that, at random moments", "half_load"),
        ("twice as many, at random moments", "twice_the_load"),
    )
    rows = []
    for what, key in loads:
        load = (
            found[key] if key else {"answered_per_second": None, "statuses": {}, "milliseconds": found["one_at_a_time"]}
        )
        good, refused = load["milliseconds"].get("200"), load["milliseconds"].get("503")
        rate = "" if load["answered_per_second"] is None else f"{load['answered_per_second']:.1f}"
        times = f"{good['p50']:.0f} and {good['p99']:.0f}" if good else ""
        no = f"{load['statuses']['503']}, {refused['p50']:.0f} and {refused['p99']:.0f}" if refused else "none"
        rows.append(f"| {what} | {rate} | {times} | {no} |")
    memory, mutated = found["memory_megabytes"], found["mutated"]
    over = found["memory_megabytes_over_requests"]
    (first, at_first), *_, (last, at_last) = over.items()
    table = "\n".join(rows)
    return f"""
## Measured

`{found["command"]}`, on {_machine(found)}, the client on the same cores: BVLC's GoogLeNet on {found["engine"]}, JPEG photographs of
{found["picture_bytes"] / 1000:.0f} kB. The engine alone, kept busy with pictures that are decoded already: {found["engine_alone_per_second"]:.1f} a second;
the server with {found["connections"]} connections has {found["of_engine_alone"]:.0%} of that.

| load | answered per second | ms to an answer, p50 and p99 | refused with 503, ms p50 and p99 |
| --- | --- | --- | --- |
{table}

{mutated["pictures"]} mutated pictures: {mutated["answered"]} answered, {mutated["unreadable"]} with an error of their own, no crash and no hang. Memory:
{memory["at_first"]:.0f} MB at first, {memory["after_load"]:.0f} after the loads, {memory["after_mutated"]:.0f} after the mutated pictures.
A server with a small network on torch has {at_first:.0f} MB after {first} requests and {at_last:.0f} after {last}.
"""


def _agreement(found: Result) -> str:
    rows = []
    judged = {row["what"]: row for row in found["top1"]}
    for row in found["table"]:
        one = judged.get(row["what"])
        maps = f"{row['map']:.1e}" if "map" in row else ""
        score = lost = ""
        if one:
            low, high = one["lost_interval"]
            score, lost = f"{one['top1']:.1%}", f"{one['lost_points']:+.1f} ({low:+.1f} to {high:+.1f})"
        rows.append(f"| {row['what']} | {row['probability']:.1e} | {maps} | {row['same_top1']} | {score} | {lost} |")
    table = "\n".join(rows)
    return f"""
## Measured: the same answers

`{found["command"]}`: BVLC's GoogLeNet on {found["pictures"]} photographs against torch in fp32. The 8 bits were calibrated on {found["calibrated_on"]} photographs
of flowers. Points of top-1 lost come with their 95 % interval, picture by picture; on {found["pictures"]} pictures it is wide.

| what | largest difference of a probability | of a map, in parts of the largest value | same first answer | top-1 | points lost |
| --- | --- | --- | --- | --- | --- |
{table}
"""


def _install(found: Result) -> str:
    largest = ", ".join(f"{name} {size:.0f}" for name, size in list(found["largest"].items())[:5])
    return f"""
`{found["command"]}`: without extras, `pip install` takes {found["megabytes"]:.0f} MB (in MB: {largest}); it predicts with an exported file
and has loaded {" and ".join(found["loaded"]) or "neither torch nor onnx nor OpenVINO"}.
"""


def _machine(found: Result) -> str:
    machine = found["machine"]
    return f"{machine['cores']} cores of an {machine['processor']}{' with bf16' if machine['bf16'] else ''}"


def _calls(count: int) -> str:
    return "one call" if count == 1 else f"{count} calls"
