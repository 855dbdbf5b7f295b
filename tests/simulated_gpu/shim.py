"""Processes in which a CPU build of PyTorch has a simulated GPU: they load a small compiled library first."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import gettempdir, mkdtemp

SOURCE = Path(__file__).with_name("guard.cpp")
REPOSITORY = Path(__file__).resolve().parents[2]


class CannotSimulateError(Exception):
    """PyTorch is built for CUDA, there is no compiler, or it cannot compile the library."""


@cache
def library() -> Path:
    """Compile the library once for this version of PyTorch and this source.

    Raises:
        CannotSimulateError: PyTorch has a GPU's functions of its own, or g++ is missing or fails.
    """
    import hashlib

    import torch

    if torch.version.cuda is not None:
        raise CannotSimulateError(f"PyTorch {torch.__version__} is built for CUDA, expected a CPU build")
    if shutil.which("g++") is None:
        raise CannotSimulateError("g++ is not installed")
    key = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    target = Path(gettempdir()) / f"hpo-simulated-gpu-{os.getuid()}" / f"{key}.so"
    if target.is_file():
        return target
    target.parent.mkdir(mode=0o700, exist_ok=True)
    root = Path(torch.__file__).parent
    partial = Path(mkdtemp(dir=target.parent)) / "guard.so"
    include = root / "include"
    words = ["-shared", "-fPIC", "-std=c++20", "-O1", f"-I{include}"]
    words += [f"-I{include}/torch/csrc/api/include", str(SOURCE), "-o", str(partial)]
    words += [f"-L{root / 'lib'}", "-lc10", "-ltorch_cpu"]
    done = subprocess.run(["g++", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotSimulateError(f"g++ cannot compile {SOURCE.name}: {done.stderr.strip()[-300:]}")
    partial.replace(target)
    partial.parent.rmdir()
    return target


def with_simulated_gpu(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python with the arguments ``words`` and the input ``given`` where there is a simulated GPU."""
    import torch

    variables = {
        "LD_PRELOAD": str(library()),
        "LD_LIBRARY_PATH": str(Path(torch.__file__).parent / "lib"),
        "PYTHONPATH": os.pathsep.join(
            map(str, (REPOSITORY, REPOSITORY / "tests", REPOSITORY / "tests" / "model"))
        ),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **variables},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
