"""Templates of pages and cards. A page is one file without external resources or scripts."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inceptorch.utils.markdown import in_markdown
from inceptorch.utils.plots import shortened

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

QUALITY = 80  # of JPEG


def render(template: str, **values: Any) -> str:
    """A template beside the package that uses it, such as `checks/templates/check.html`, with every value escaped for
    HTML, or for Markdown where the template ends in `.md`."""
    return _environment().get_template(template).render(values)


def data_uri(image: Image.Image, kind: str = "JPEG") -> str:
    """An image as a data URI."""
    with io.BytesIO() as file:
        image.save(file, kind, quality=QUALITY)
        return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


@cache
def _environment() -> Environment:
    # Imported here, so that commands which render nothing start without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context, select_autoescape
    from jinja2.nodes import EvalContext
    from markupsafe import Markup

    @pass_eval_context
    def escaped(context: EvalContext, value: Any) -> Any:
        return value if context.autoescape or isinstance(value, Markup) else in_markdown(str(value))

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent),
        autoescape=select_autoescape(["html"], default=False),
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda value, digits=1: f"{value:.{digits}%}"
    environment.filters["fraction"] = lambda value: "-" if value is None else f"{value:.1%}"
    environment.filters["interval"] = lambda bounds: f"{bounds[0]:.1%} to {bounds[1]:.1%}"
    environment.filters["path"] = _path
    environment.filters["shortened"] = shortened
    return environment


def _path(name: str) -> Markup:
    """A file name that may break behind a slash or within a name, and never within its suffix."""
    from markupsafe import Markup, escape

    stem, dot, suffix = name.rpartition(".")
    return Markup('{}<span class="whole">{}</span>').format(escape(stem).replace("/", Markup("/<wbr>")), dot + suffix)
