"""A class by its name or index."""

from __future__ import annotations

from collections.abc import Sequence

from inceptorch.errors import BundleError, did_you_mean

MAX_LISTED = 40  # class names in one sentence


def find_class(classes: Sequence[str], target: str | int) -> int:
    """The index of a class: by its name, by one synonym of a name with commas ("tench, Tinca tinca"), or by the index
    itself. Raises BundleError."""
    if target in classes:
        return classes.index(str(target))
    matches = [index for index, name in enumerate(classes) if target in name.split(", ")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        which = ", ".join(f"{index} ({classes[index]})" for index in matches)
        raise BundleError(f"Several classes are called {target}; give the number of one: {which}.")
    if str(target).isdecimal():
        if int(target) < len(classes):
            return int(target)
        raise BundleError(f"There is no class {target}: they are numbered from 0 to {len(classes) - 1}.")
    known = [synonym for name in classes for synonym in dict.fromkeys((name, *name.split(", ")))]
    remedy = did_you_mean(str(target), known)
    if len(known) > MAX_LISTED and not remedy.startswith("did"):
        remedy = f"label_names in the config.json of the classifier lists all {len(classes)}."
    raise BundleError(f"There is no class {str(target)!r}: {remedy}")
