"""Common style of interactive figures."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Interactive


def interactive(*, height: int = 420) -> "Interactive":
    """Return an empty interactive figure in the style of the pictures.

    Args:
        height: Height in pixels; the width is that of the page.
    """
    from plotly.graph_objects import Figure as Interactive

    return styled(Interactive(), height=height)


def styled(figure: "Interactive", *, height: int) -> "Interactive":
    """Set a white background, no title and margins for axis labels; return ``figure``."""
    figure.update_layout(
        title=None,
        template="plotly_white",
        width=None,
        height=height,
        margin={"l": 60, "r": 20, "t": 40, "b": 60},
        font={"size": 13},
        # Above the figure lie the buttons that appear under the mouse.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
    )
    return figure
