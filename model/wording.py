"""Words of messages that depend on a number."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in singular or plural, such as ``1 trial`` or ``1,200 trials``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
