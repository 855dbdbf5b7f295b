"""Named streams of random numbers, all from one seed."""

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, name: str) -> int:
    """Return the seed of the stream ``name``; streams with different names are independent."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def torch_stream(seed: int, name: str) -> "torch.Generator":
    """Return a generator of the stream ``name``, on the CPU so that every device draws the same numbers."""
    import torch  # commands that only read a study do without

    return torch.Generator().manual_seed(stream_seed(seed, name))
