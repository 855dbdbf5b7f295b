"""Quasi-random designs that cover the unit cube evenly."""

import numpy as np
import numpy.typing as npt


def quasi_random_points(dimensions: int, *, seed: int, count: int) -> npt.NDArray[np.float64]:
    """Return the first ``count`` points of a scrambled Sobol sequence.

    A longer design with the same seed starts with the same points.

    Returns:
        An array (count, dimensions) of values in [0, 1).
    """
    if dimensions == 0:  # every parameter is fixed
        return np.zeros((count, 0))
    from scipy.stats import qmc  # here, as it takes a process that only trains almost a second

    # Sobol sequences are drawn in powers of two: they are balanced only there, and scipy warns elsewhere.
    exponent = max(count - 1, 0).bit_length()
    sequence = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    return sequence.random_base2(exponent)[:count]
