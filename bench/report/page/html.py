"""From tabs to one self-contained HTML file that allows nothing but what is in it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report.content.display import Link, Number, visible
from bench.report.content.section import Tab

# In the order in which they use each other.
SCRIPTS = (
    *("dom.js", "state.js", "tables.js", "charts.js"),
    *("diff.js", "sample_matches.js", "sample_controls.js", "samples.js"),
    *("head_to_head.js", "start.js"),
)
STYLES = ("page.css", "samples.css", "head_to_head.css")
# Vega draws into the page and loads nothing.
CHARTS = "window.vegaEmbed = vegaEmbed;"


def render_page(
    title: str,
    about: str,
    tabs: Sequence[Tab],
    images: Mapping[str, str],
    data: Mapping[str, Any] | None = None,
) -> str:
    """Return the page.

    Args:
        title: Its heading.
        about: A line on where it comes from.
        tabs: What it holds.
        images: Static charts by name, as data addresses.
        data: What its scripts read; without it the page has no scripts, and needs none.
    """
    return render_template(
        "report.html.j2",
        STYLES,
        [_charts_library(), _script()] if data else [],
        title=title,
        about=about,
        tabs=tabs,
        images=images,
        plots=(data or {}).get("plots", {}),
        data=Markup(json_in_html(data)) if data else "",
    )


def render_template(
    template: str, styles: Sequence[str], scripts: Sequence[str] = (), **content: object
) -> str:
    """Return the page that a template makes, with a policy that allows its own scripts alone.

    Args:
        template: A file in `templates/`.
        styles: Style sheets in `assets/`.
        scripts: Their texts.
        content: What the template shows.
    """
    style = "\n".join(map(_asset, styles))
    explanations: dict[str, str] = {}

    def explained(text: str) -> str:
        """Return the id of an explanation, which the end of the page holds once."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        return explanations.setdefault(text, f"help-{digest[:10]}")

    environment = _environment()
    environment.filters["explained"] = explained
    return environment.get_template(template).render(
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(style, scripts),
        explanations=lambda: [(id_, text) for text, id_ in explanations.items()],
        **content,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["values"] = _values
    environment.tests["link"] = lambda value: isinstance(value, Link)
    return environment


def _shown(value: object) -> object:
    """Return what a template shows: names, prompts and errors come from anybody."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _values(cell: object) -> Markup:
    """Return a number's attributes, by which the page's tables sort and copy."""
    if not isinstance(cell, Number):
        return Markup("")
    shown = {"value": cell.value, "low": cell.low, "high": cell.high}
    # A number that is missing has no value; a text has no attribute at all.
    texts = {name: f"{value:.8g}" for name, value in shown.items() if math.isfinite(value)}
    attributes = (Markup(' data-{}="{}"').format(*each) for each in ({"value": ""} | texts).items())
    return Markup("").join(attributes)


def json_in_html(data: object) -> str:
    """Return JSON that no text in it can end: neither its script nor a string of it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Return the content security policy: this page's own scripts, and images within it."""
    own = " ".join(_digest(script) for script in scripts) or "'none'"
    # Vega sets styles of single elements, which no hash can allow.
    styles = "'unsafe-inline'" if scripts else _digest(style)
    return (
        f"default-src 'none'; script-src {own}; style-src {styles}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (files("bench.report.page") / "assets" / name).read_text("utf-8")


def _script() -> str:
    return "\n".join(map(_asset, SCRIPTS))


@cache
def _charts_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    script = vl_convert.javascript_bundle(CHARTS)
    # Its names stay its own.
    script = f"(() => {{{script}\n}})();"
    # Nothing in an inlined script may read as its end.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
