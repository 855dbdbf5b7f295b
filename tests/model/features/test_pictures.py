"""Pictures are what a viewer sees: upright, with square pixels and without the comb of interlaced video."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from generated_video import av, steady, write_video

from model.features.decoding import Video
from model.features.pictures import Cropper

SIZE = 64
RED, GREEN = (255, 0, 0), (0, 255, 0)


def quarters(number: int) -> npt.NDArray[np.uint8]:
    """A wide picture: red above left and black elsewhere, with green margins that the square leaves out."""
    picture = np.zeros((96, 192, 3), dtype=np.uint8)
    picture[:48, :96] = RED
    picture[:, :40] = picture[:, -40:] = GREEN
    return picture


def first_picture(file: Path) -> npt.NDArray[np.uint8]:
    with Video(file) as video:
        return Cropper(SIZE)(next(video.frames_at(2.0)), video.pixel_aspect)


def red_quarter(picture: npt.NDArray[np.uint8]) -> tuple[str, str]:
    """Where the red quarter is: above or below, left or right."""
    red = picture[..., 0].astype(float)
    return (
        "above" if red[: SIZE // 2].mean() > red[SIZE // 2 :].mean() else "below",
        "left" if red[:, : SIZE // 2].mean() > red[:, SIZE // 2 :].mean() else "right",
    )


def test_square_in_the_middle_is_cut_out(tmp_path: Path) -> None:
    picture = first_picture(write_video(tmp_path / "a.mp4", steady(10), picture=quarters))
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    assert red_quarter(picture) == ("above", "left")
    assert picture[: SIZE // 2, : SIZE // 2, 0].mean() > 200 and picture[..., 1].mean() < 20


def test_turned_video_is_upright(tmp_path: Path) -> None:
    # A display rotation turns counterclockwise what is stored.
    for degrees, place in ((90, ("below", "left")), (180, ("below", "right")), (-90, ("above", "right"))):
        file = write_video(
            tmp_path / f"{degrees}.mp4",
            steady(10),
            picture=quarters,
            prepare=lambda stream, degrees=degrees: stream.set_display_rotation(degrees),
        )
        assert red_quarter(first_picture(file)) == place


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    def ring(number: int) -> npt.NDArray[np.uint8]:
        rows, columns = np.mgrid[:96, :96]
        # Stored half as wide as shown.
        inside = ((columns - 47.5) * 2) ** 2 + (rows - 47.5) ** 2 < 40**2
        return np.repeat((255 * inside).astype(np.uint8)[..., None], 3, axis=2)

    def wide(stream: object) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)  # type: ignore[attr-defined]

    picture = first_picture(write_video(tmp_path / "a.mp4", steady(10), picture=ring, prepare=wide))
    lit = picture[..., 0] > 127
    assert abs(int(lit.any(axis=0).sum()) - int(lit.any(axis=1).sum())) <= 2


def test_interlaced_video_has_no_comb(tmp_path: Path) -> None:
    def comb(number: int) -> npt.NDArray[np.uint8]:
        picture = np.zeros((192, 192, 3), dtype=np.uint8)
        picture[::2] = 255
        return picture

    def interlaced(stream: object) -> None:
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct  # type: ignore[attr-defined]

    options = {"preset": "ultrafast", "x264-params": "tff=1:interlaced=1", "crf": "1"}
    picture = first_picture(
        write_video(tmp_path / "a.mp4", steady(10), picture=comb, options=options, prepare=interlaced)
    )
    assert picture.std() < 2 and picture.mean() > 250


def test_a_change_of_size_is_followed() -> None:
    cropper = Cropper(SIZE)
    for height, width in ((96, 192), (240, 120), (64, 64)):
        frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, dtype=np.uint8), format="rgb24")
        frame.time_base = Fraction(1, 25)
        assert cropper(frame).shape == (SIZE, SIZE, 3)
        assert abs(cropper(frame).mean() - 90) < 3
