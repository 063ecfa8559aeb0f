"""A class by what a person calls it."""

from __future__ import annotations

from collections.abc import Sequence

from inceptorch.errors import BundleError, did_you_mean

FEW = 40  # classes that one sentence can list


def find_class(classes: Sequence[str], wanted: str | int) -> int:
    """The index of a class: by its name, by one of the names that commas part in it ("tench, Tinca tinca"), or by the
    index itself. Raises BundleError."""
    if wanted in classes:
        return classes.index(str(wanted))
    named = [index for index, name in enumerate(classes) if wanted in name.split(", ")]
    if len(named) == 1:
        return named[0]
    if named:
        which = ", ".join(f"{index} ({classes[index]})" for index in named)
        raise BundleError(f"Several classes are called {wanted}; give the number of one: {which}.")
    if str(wanted).isdecimal():
        if int(wanted) < len(classes):
            return int(wanted)
        raise BundleError(f"There is no class {wanted}: they are numbered from 0 to {len(classes) - 1}.")
    known = [part for name in classes for part in dict.fromkeys((name, *name.split(", ")))]
    remedy = did_you_mean(str(wanted), known)
    if len(known) > FEW and not remedy.startswith("did"):
        remedy = f"label_names in the config.json of the classifier lists all {len(classes)}."
    raise BundleError(f"There is no class {str(wanted)!r}: {remedy}")
