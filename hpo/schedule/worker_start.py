"""Start of a worker of a local Ray, run as a script in place of Ray's own ``setup_worker.py``.

Ray's own script imports all of Ray to set a few variables, and then starts Python again, which imports Ray
once more. This script sets them and becomes the worker, which saves half a second of the processor for every
process.
"""

import gc
import json
import os
import runpy
import sys
from pathlib import Path

RARELY = (100_000, 20, 100)
"""Thresholds of the search for garbage. While torch, Ray and MLflow are imported, each search looks at a
million objects that stay."""
_CONTEXT, _LANGUAGE = "--serialized-runtime-env-context=", "--language="


def start_worker(words: list[str]) -> None:
    """Run Ray's program for workers in this process.

    Args:
        words: Options of Python, path and arguments of that program, and the two arguments that
            ``setup_worker.py`` reads.

    Raises:
        ValueError: The worker needs another program or interpreter, which no local study asks for.
    """
    for word in words:
        if word.startswith(_CONTEXT):
            _set_variables(json.loads(word.removeprefix(_CONTEXT) or "{}"))
    program, *rest = [word for word in words if not word.startswith((_CONTEXT, _LANGUAGE))]
    if program.startswith("-"):  # Ray passes on with which options, such as -s, Python was started
        os.execv(sys.executable, [sys.executable, program, *rest])
    # As if the program had been started by its path: no module of this folder may hide one of the same name.
    sys.argv, sys.path[0] = [program, *rest], str(Path(program).parent)
    gc.set_threshold(*RARELY)
    runpy.run_path(program, run_name="__main__")


def _set_variables(context: dict[str, object]) -> None:
    """Set the environment variables of a runtime environment; Ray Tune sets some for every trial."""
    if context.get("command_prefix") or context.get("override_worker_entrypoint"):
        raise ValueError(f"expected a runtime environment of variables only, got {context}")
    variables = context.get("env_vars") or {}
    assert isinstance(variables, dict)
    os.environ.update(variables)


if __name__ == "__main__":
    start_worker(sys.argv[1:])
