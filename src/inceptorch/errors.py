"""Faults, each as one sentence for the user with the file and the remedy; the command line exits with code 2."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

MAX_LISTED = 20  # names in a sentence
# Words that begin our sentences and are no names.
FIRST_WORDS = frozenset(["A", "An", "Batch", "Cannot", "Images", "It", "Preprocessing", "Recipe", "The", "There"])


class InceptorchError(Exception):
    """A fault whose message is a sentence for the user; the command line prints it alone."""


class TableError(InceptorchError):
    """A network's table is wrong, or cannot take the input it was given."""


class ImageError(InceptorchError):
    """One image file cannot be read as an image: its path, None for bytes, and the reason as a phrase behind the
    path."""

    def __init__(self, path: str | Path | None, reason: str):
        super().__init__(path, reason)  # as `args`, of which unpickling makes the error again
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{'An image' if self.path is None else self.path} {self.reason}."


class DamagedImage(ImageError):
    """One image file is cut off or damaged, so that it decodes only in part, if at all."""


class MissingImage(ImageError):
    """There is no image file of that name."""


class HugeImage(ImageError):
    """One image file has more pixels than are read."""


class DataError(InceptorchError):
    """A data set is not in a shape that can be used."""


class BundleError(InceptorchError):
    """A saved classifier or a file of weights cannot be used."""


class NonFiniteOutputError(BundleError):
    """A network's outputs are nan or infinite: comparisons with nan would make any look right."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "The network's outputs are not finite: its weights are damaged, or training diverged, as with too high "
            "a learning rate."
        )


class ImageInputError(InceptorchError, TypeError):
    """A value is of a type that is no image."""


class EngineError(InceptorchError):
    """An engine is not installed, or cannot do what is requested."""


class ExportError(InceptorchError):
    """A classifier cannot be exported, or its file would predict differently."""


class RecipeError(InceptorchError):
    """A recipe does not exist or one of its values is wrong."""


class ProtocolError(InceptorchError):
    """A protocol does not exist or one of its values is wrong, or saved predictions do not belong together."""


class RunError(InceptorchError):
    """A training run cannot start or cannot go on."""


class DiskError(RunError):
    """The system refuses to read or write a file."""


class ServeError(InceptorchError):
    """A server cannot start."""


def within(place: str | Path, error: Exception) -> str:
    """The sentence of an error behind the place where it is, such as a file."""
    text = str(error)
    return f"{place}: {text[:1].lower() + text[1:] if text.partition(' ')[0] in FIRST_WORDS else text}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown `word`: the nearest known one in any case, else all, or the first if they
    are many."""
    names = {name.lower(): name for name in reversed(list(known))}  # of equal ones the first
    near = get_close_matches(word.lower(), names, n=1)
    if near:
        return f"did you mean {names[near[0]]!r}?"
    listed = list(names.values())[::-1]
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return f"known are: {', '.join(listed[:MAX_LISTED])}{more}."
