"""Generated videos whose frames carry their number as a bar code."""

import warnings
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

av = pytest.importorskip("av", reason="the extra features is not installed")

BARS, SIDE = 12, 8
WIDTH, HEIGHT = BARS * SIDE, 48


def picture_of(number: int) -> npt.NDArray[np.uint8]:
    """Bars of black and white: the number in binary digits."""
    bits = (number >> np.arange(BARS)) & 1
    row = np.repeat(bits.astype(np.uint8) * 255, SIDE)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)))


def number_in(frame: Any) -> int:
    """The number that a decoded frame shows.

    Only the plane of brightness is read: to convert a picture takes ten times as long as to decode it.
    """
    plane = frame.planes[0]
    row = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)[:, :WIDTH].mean(axis=0)
    bits = row.reshape(BARS, -1).mean(axis=1) > 127
    return int(bits @ (1 << np.arange(BARS)))


def write_video(
    file: Path,
    times_s: Iterable[Fraction],
    *,
    codec: str = "libx264",
    rate: Fraction = Fraction(25),
    picture: Callable[[int], npt.NDArray[np.uint8]] = picture_of,
    options: dict[str, str] | None = None,
    prepare: Callable[[Any], None] = lambda stream: None,
    fragmented: bool = False,
) -> Path:
    """Write one frame for every time; its number is its place, modulo what the bars hold."""
    time_base = Fraction(1, 90_000)
    layout = {"movflags": "frag_keyframe+empty_moov"} if fragmented else {}
    with av.open(str(file), "w", options=layout) as container:
        # More threads would only wait for each other: the pictures are tiny.
        fast = {"preset": "ultrafast", "g": "50", "threads": "1"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options or fast)
        first = picture(0)
        stream.width, stream.height = first.shape[1], first.shape[0]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec != "mpeg4":
            stream.codec_context.time_base = time_base
        prepare(stream)
        for number, time in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(picture(number % (1 << BARS)), format="rgb24")
            frame.pts, frame.time_base = round(time / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


class MeanColours(torch.nn.Module):
    """A network of one's own: the mean colours of four by four fields."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.nn.functional.adaptive_avg_pool2d(pictures, 4).flatten(1)


def own_network(file: Path, scale: float = 1.0) -> Path:
    """Write a small network as a TorchScript file."""
    with warnings.catch_warnings():
        # torch.export takes its place, but makes its files in seconds instead of milliseconds.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(MeanColours(scale), torch.zeros(1, 3, 224, 224)), str(file))
    return file


def steady(frames: int, rate: Fraction = Fraction(25), start_s: Fraction = Fraction(0)) -> list[Fraction]:
    """Times of ``frames`` frames at a constant rate."""
    return [start_s + number / rate for number in range(frames)]
