"""Preparation of this process, before torch, Ray and MLflow are imported."""

import os

from hpo.config.environment import LOOPBACK, provide_home, reach_directly


def prepare_process() -> None:
    """Set the variables that torch, Ray and MLflow read when they are imported."""
    # Threads that wait for work must not spin: trials share the processor. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    provide_home()
    # A proxy for the internet must not stand between a command and its own servers.
    reach_directly(*LOOPBACK)
