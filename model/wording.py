"""Words and formats of numbers in messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in singular or plural, such as ``1 trial`` or ``1,200 trials``.

    Args:
        number: The number.
        noun: The noun in the singular.
        plural: Its plural. Default: the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def printable(text: str) -> str:
    r"""Return a text on one line, with escapes for what a terminal would obey or UTF-8 cannot hold.

    Those are control characters, such as ``\x1b``, and bytes of file names that are not text, such as
    ``\udcfc``. A text without them stays what it is.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def described(error: BaseException) -> str:
    """Return type and first line of an error, such as ``ValueError: no rows``, as ``printable`` shows it."""
    try:
        lines = str(error).splitlines()
    except Exception:  # the class is somebody else's
        lines = ["its message cannot be read"]
    return printable(f"{type(error).__name__}: {next(filter(str.strip, lines), 'no message')}")


def with_interval(mean: float, half_width: float | None, *, sign: str = "") -> str:
    """Return a mean with the half width of its interval, such as ``0.4012 ± 0.0300``; None: the mean alone.

    Args:
        mean: The mean.
        half_width: Half width of its interval.
        sign: ``+`` shows the sign of positive means too, as for differences.
    """
    return f"{mean:{sign}.4f}" + ("" if half_width is None else f" ± {half_width:.4f}")
