"""Files of the user that a task imports, which decide its numbers like its own."""

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

NamedFile = tuple[str, Path]
"""A file with its name below its folder on Python's path, such as ``lib/train.py``."""
_OF_THIS_PROJECT = ("hpo", "model", "search_spaces")
_INSTALLED = ("site-packages", "dist-packages")
"""Names of folders of installed packages."""


def imported_files(code: Sequence[NamedFile]) -> list[NamedFile]:
    """Return the files of the user that ``code`` imports, directly or through others of them, in their order.

    Import statements count wherever they are written, also in functions that have not run yet: the result
    does not depend on what has been imported so far. Installed packages and this project do not count.
    """
    known, waiting = {path.resolve() for _, path in code}, list(code)
    found: list[NamedFile] = []
    while waiting:
        for name, path in _imported_by(*waiting.pop()):
            if path.resolve() not in known:
                known.add(path.resolve())
                found.append((name, path))
                waiting.append((name, path))
    return sorted(found)


def _imported_by(name: str, path: Path) -> Iterator[NamedFile]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # nothing can import it either
        return
    root = path.parents[len(PurePath(name).parts) - 1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _on_path(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            for alias in node.names:
                if node.level:
                    yield from _files(path.parents[node.level - 1], [*module, alias.name], root)
                else:
                    yield from _on_path([*module, alias.name])


def _on_path(module: Sequence[str]) -> Iterator[NamedFile]:
    """Yield the files that are run when a module on Python's path is imported, if it is the user's."""
    folder = _folder_of(module[0])
    if folder is not None:
        yield from _files(folder, module, folder)


def _files(folder: Path, module: Sequence[str], root: Path) -> Iterator[NamedFile]:
    """Yield the files that are run when a module below ``folder`` is imported.

    The last name may also be that of something in a module; then there is no file for it.
    """
    for part in module:
        for file in (folder / f"{part}.py", folder / part / "__init__.py"):
            if file.is_file() and file.is_relative_to(root):
                yield file.relative_to(root).as_posix(), file
        folder /= part


def _folder_of(top: str) -> Path | None:
    """Return the folder on Python's path that has a module or package; None if it is not the user's."""
    if top in _OF_THIS_PROJECT or top in sys.builtin_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # also for a module that was not imported in the usual way
        return None
    if spec is None:
        return None
    # A package without __init__ has folders but no file.
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    if not places or places[0] is None:
        return None
    file = Path(places[0]).absolute()
    folder = file.parent.parent if file.name == "__init__.py" else file.parent
    is_installed = set(_INSTALLED) & set(folder.parts) or folder.is_relative_to(sysconfig.get_path("stdlib"))
    return None if is_installed else folder
