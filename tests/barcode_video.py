"""Videos whose frames carry their own number as a bar code, so that frames that were cut out can be told."""

import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np

BARS, BAR_PIXELS, HEIGHT = 16, 16, 32
WIDTH = BARS * BAR_PIXELS
FRAME_RATE = 25


def write_video(
    ffmpeg: str, file: Path, *, seconds: int, first_number: int, key_frames: int, scale: str = ""
) -> None:
    """Frames ``first_number``, ``first_number`` + 1, ... and a tone; one key frame in ``key_frames``."""
    numbers = first_number + np.arange(seconds * FRAME_RATE)
    bits = (numbers[:, None] >> np.arange(BARS)) & 1
    rows = np.repeat(bits.astype(np.uint8) * 255, BAR_PIXELS, axis=1)
    frames = np.repeat(rows[:, None], HEIGHT, axis=1)
    picture = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FRAME_RATE)]
    sound = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(key_frames), "-pix_fmt", "yuv420p"]
    scaled = ["-vf", f"scale={scale}"] if scale else []
    command = [ffmpeg, "-loglevel", "error", "-y", *picture, "-i", "-", *sound, *scaled, *codec]
    subprocess.run([*command, "-c:a", "aac", str(file)], input=frames.tobytes(), check=True)


def read_numbers(ffmpeg: str, file: Path) -> list[int]:
    """The numbers of the frames, as a player shows them one after the other."""
    command = [ffmpeg, "-loglevel", "error", "-i", str(file), "-f", "rawvideo", "-pix_fmt", "gray"]
    said = subprocess.run(
        [*command, "-fps_mode", "passthrough", "-"], stdout=subprocess.PIPE, check=True
    ).stdout
    bars = np.frombuffer(said, np.uint8).reshape(-1, HEIGHT, BARS, BAR_PIXELS).mean(axis=(1, 3)) > 127
    return [int(number) for number in bars @ (1 << np.arange(BARS))]


def shown(ffmpeg: str, file: Path) -> list[tuple[int, int]]:
    """Runs of frames that follow each other: number of the first and of the last."""
    numbers = read_numbers(ffmpeg, file)
    breaks = [index for index, (one, other) in enumerate(pairwise(numbers), start=1) if other != one + 1]
    return [(numbers[a], numbers[b - 1]) for a, b in pairwise([0, *breaks, len(numbers)])]


def sound_seconds(ffmpeg: str, file: Path) -> float:
    """How long the sound lasts."""
    command = [ffmpeg, "-loglevel", "error", "-i", str(file), "-vn", "-f", "s16le", "-ac", "1"]
    said = subprocess.run([*command, "-ar", "8000", "-"], stdout=subprocess.PIPE, check=True).stdout
    return len(said) / 16000
