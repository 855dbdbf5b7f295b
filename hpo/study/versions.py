"""What results depend on besides settings and data: the code and the packages under it."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path

import hpo
import model

_PACKAGES = ("torch", "numpy", "ray", "mlflow", "bayesian-optimization", "optuna")
# Code that decides numbers: a change elsewhere (a table, a display) does not stop a study from going on.
_DECISIVE = (
    (model, "**/*.py"),
    (hpo, "space/*.py"),
    (hpo, "search/*.py"),
    (hpo, "trial/*.py"),
    (hpo, "study/programs/*.py"),
)


def versions() -> dict[str, str]:
    """Versions of this project, of Python and of the packages that results depend on."""
    found = {"hpo": hpo.__version__, "python": platform.python_version()}
    found.update({name: metadata.version(name) for name in _PACKAGES})
    return found


def code_digest() -> str:
    """SHA-256 over the code that decides numbers."""
    digest = hashlib.sha256()
    for package, pattern in _DECISIVE:
        root = Path(str(package.__file__)).parent
        for path in sorted(root.glob(pattern)):
            digest.update(f"{root.name}/{path.relative_to(root).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
