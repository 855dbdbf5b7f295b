"""Working folder of a process that trains, which the code of one trial must not change for the next."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def working_folder_kept() -> Iterator[None]:
    """Return to the present working folder at the end, also to one that has been deleted meanwhile."""
    here = os.open(".", os.O_RDONLY)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
