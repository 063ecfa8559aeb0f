"""The sentence about a command line that cannot be read, in place of the parser's three lines."""

from typing import Any

import typer

USAGE_ERROR: Any = typer.BadParameter.__base__  # click's, of which newer versions of typer hold a copy of their own


def describe_usage_error(error: Any) -> str:
    """The sentence about a USAGE_ERROR: what cannot be used, the parser's reason, and what was meant or the help."""
    command = error.ctx.command_path if error.ctx else "inceptorch"
    param, option = getattr(error, "param", None), getattr(error, "option_name", None)
    near = sorted(getattr(error, "possibilities", None) or ())
    remedy = f"Try {' or '.join(near) or f'{command} --help'}."
    reason = error.message.strip().removesuffix(".")
    reason = reason[:1].lower() + reason[1:]
    if option:
        reason = "there is no such option" if reason.startswith("no such option") else reason
        return f"Cannot use {option}: {reason}. {remedy}"
    if param is not None and reason:
        return f"Cannot use {_name(param)}: {reason}. {remedy}"
    if param is not None:
        reason = f"{_name(param)} is missing"
    return f"Cannot run {command}: {reason}" + ("" if reason.endswith("?") else f". {remedy}")


def _name(param: Any) -> str:
    """An option's long name, an argument's in capitals."""
    return str(max(param.opts, key=len) if param.param_type_name == "option" else param.metavar or param.name.upper())
