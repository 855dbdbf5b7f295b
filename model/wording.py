"""Words and formats of numbers in messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in singular or plural, such as ``1 trial`` or ``1,200 trials``.

    Args:
        number: The number.
        noun: The noun in the singular.
        plural: Its plural. Default: the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def with_interval(mean: float, half_width: float | None, *, sign: str = "") -> str:
    """Return a mean with the half width of its interval, such as ``0.4012 ± 0.0300``; None: the mean alone.

    Args:
        mean: The mean.
        half_width: Half width of its interval.
        sign: ``+`` shows the sign of positive means too, as for differences.
    """
    return f"{mean:{sign}.4f}" + ("" if half_width is None else f" ± {half_width:.4f}")
