"""Pictures for a network: the square in the middle of a frame, as it is shown on screen."""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from model.features.extra import imported


class Cropper:
    """Scales the shorter side of frames to ``size`` pixels and cuts out the square in the middle.

    Frames are turned as the file says and pixels that are not square are stretched. Of interlaced frames one
    field is used, so that moving edges show no comb. FFmpeg's filters do the work.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._graph: Any = None
        self._graph_for: tuple[object, ...] = ()
        self._last: Any = None
        self._picture = np.empty((size, size, 3), dtype=np.uint8)

    def __call__(self, frame: Any, pixel_aspect: Fraction | None = None) -> npt.NDArray[np.uint8]:
        """Return the picture of ``frame``: (size, size, 3), red, green and blue.

        Args:
            frame: A decoded frame; the one of the call before is not converted again.
            pixel_aspect: Width of a pixel divided by its height. None: 1.
        """
        if frame is not self._last:
            kind = (frame.width, frame.height, frame.format.name, frame.interlaced_frame, pixel_aspect)
            if kind != self._graph_for:
                self._graph, self._graph_for = self._built(frame, pixel_aspect or Fraction(1)), kind
            self._graph.vpush(frame)
            upright = np.rot90(self._graph.vpull().to_ndarray(), round(frame.rotation / 90))
            self._last, self._picture = frame, np.ascontiguousarray(upright)
        return self._picture

    def _built(self, frame: Any, pixel_aspect: Fraction) -> Any:
        size, shown_width = self._size, frame.width * pixel_aspect
        scale = size / min(shown_width, frame.height)
        width, height = (max(size, round(side * scale)) for side in (shown_width, frame.height))
        filters = [
            ("scale", f"{width}:{height}:flags=bicubic"),
            ("crop", f"{size}:{size}"),
            ("format", "rgb24"),
            ("buffersink", None),
        ]
        if frame.interlaced_frame:
            filters.insert(0, ("field", "top"))
        graph = imported("av").filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        graph.link_nodes(source, *(graph.add(name, options) for name, options in filters)).configure()
        return graph
