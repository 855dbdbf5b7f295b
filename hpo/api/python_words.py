"""Errors that speak of the arguments of Python's functions where those of the command line name options."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import UserError

ARGUMENTS = {"data-uri": "data", "from": "start", "try": "points", "videos": "games"}
"""Option -> argument, where the argument is not the option's name with underscores."""
_OPTION = re.compile(r"""(?<![^\s('"])--([a-z][a-z0-9-]*)(?: (?=[A-Z]{2}|v?\d|[/'"]))?""")
"""Option at the start of a word, not inside the name of a file, with the blank before its value."""
_COMMAND = re.compile(r"\bhpo [a-z]")
"""Beginning of a command for a shell, in which options stay options."""


@contextmanager
def python_words() -> Iterator[None]:
    """Let errors of the context that a user can fix name arguments, such as ``trials=`` for ``--trials``."""
    try:
        yield
    except UserError as error:
        error.message = in_python(error.message)
        error.details = {name: in_python(text) for name, text in error.details.items()}
        raise


def in_python(text: str) -> str:
    """Return a text with options of ``hpo run`` as arguments of ``hpo.run``, except in commands."""
    command = _COMMAND.search(text)
    end = command.start() if command else len(text)
    return _OPTION.sub(lambda found: f"{argument_of(found[1])}=", text[:end]) + text[end:]


def argument_of(option: str) -> str:
    """Return the name of the argument that an option of ``hpo run``, without its dashes, has in Python."""
    return ARGUMENTS.get(option, option.replace("-", "_"))
