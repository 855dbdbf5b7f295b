"""HTML pages from the templates in this folder; all values are escaped."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hpo.tasks.base.presentation.stage_presentation import StageFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFigure:
    """A figure on a page."""

    title: str
    caption: str
    body: Markup


def stage_page(title: str, figures: Sequence[StageFigure]) -> str:
    """Return a page with the interactive figures of one stage."""
    shown = [explored(figure, place=f"figure-{index}") for index, figure in enumerate(figures)]
    return render("stage.html", title=title, figures=shown, with_plotly=bool(shown))


def render(template: str, *, with_plotly: bool, **values: Any) -> str:
    """Fill ``template`` with ``values``; embedding plotly adds about 4 MB."""
    environment = Environment(
        loader=PackageLoader("hpo.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(plotly=_plotly() if with_plotly else "", **values)


def explored(figure: StageFigure, *, place: str) -> ShownFigure:
    """Return an interactive figure as HTML; the page must contain plotly.

    Args:
        figure: The figure.
        place: Name of the figure, unique on the page.
    """
    # plotly writes <, > and / of the data as escapes, so nothing in it ends the script.
    body = figure.interactive.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=place,
        config={"displaylogo": False, "responsive": True},
    )
    return ShownFigure(title=figure.title, caption=figure.caption, body=Markup(body))


def picture(title: str, png: bytes, caption: str = "") -> ShownFigure:
    """Return a picture as HTML that contains the data of the image."""
    source = Markup('<img alt="{}" src="data:image/png;base64,{}">')
    return ShownFigure(title=title, caption=caption, body=source.format(title, b64encode(png).decode()))


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())
