"""Lines per network, comments included, ours against torchvision's, timm's and TF-slim's.

Counted are whole files, as `wc -l` does: of theirs the files that define these networks; of ours `networks/zoo/` (the
tables and their list), and beside it what turns every table into a module, which is shared by all of them.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.common import ROOT, Record, command

# tf_slim 1.1.0 needs TensorFlow to be imported, so its count is written down: wc -l of tf_slim/nets/inception_v?.py
TF_SLIM = {"inception_v1.py": 420, "inception_v2.py": 648, "inception_v3.py": 738}
OURS = ROOT / "src" / "inceptorch"


def lines(*files: Path) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def installed(package: str, *files: str) -> int:
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return lines(*(Path(found.origin).parent / "models" / file for file in files))


def run() -> Record:
    from inceptorch.networks.zoo import NETS

    torchvision = installed("torchvision", "googlenet.py", "inception.py")
    timm = installed("timm", "inception_v3.py", "inception_v4.py", "inception_resnet_v2.py")
    written = [name for name in NETS if not name.endswith("_small")]  # those come of a rule
    tables = lines(*sorted((OURS / "networks" / "zoo").glob("*.py")))
    builder = lines(*sorted((OURS / "networks" / "layers").glob("*.py")), *sorted((OURS / "models").glob("*.py")))
    rows: list[dict[str, Any]] = [
        {"of": "inceptorch, networks/zoo/", "lines": tables, "networks": len(written)},
        {
            "of": "inceptorch, networks/zoo/ with networks/layers/ and models/",
            "lines": tables + builder,
            "networks": len(written),
        },
        {"of": "torchvision, googlenet.py and inception.py", "lines": torchvision, "networks": 2},
        {"of": "timm, inception_v3, inception_v4, inception_resnet_v2", "lines": timm, "networks": 3},
        {"of": "TF-slim, inception_v1, v2, v3", "lines": sum(TF_SLIM.values()), "networks": len(TF_SLIM)},
    ]
    for row in rows:
        row["per_network"] = round(row["lines"] / row["networks"], 1)
    return {"n": {"count of each": 1}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Lines per network, comments included\n\n`{command(record)}`\n"]
    parts.append("| files | lines | networks | lines per network |\n| --- | --- | --- | --- |")
    for row in record["rows"]:
        parts.append(f"| {row['of']} | {row['lines']:,} | {row['networks']} | {row['per_network']:.0f} |")
    return "\n".join(parts)
