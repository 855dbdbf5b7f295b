"""Docstrings of the fields of classes, which Python does not keep at run time."""

import ast
import inspect
import textwrap
from functools import cache


@cache
def field_docstrings(of: type) -> dict[str, str]:
    """Return field -> docstring of a class, those that it inherits included."""
    found: dict[str, str] = {}
    for base in reversed(of.__mro__):
        if base.__module__.split(".")[0] in ("hpo", "model"):
            found |= _own(base)
    return found


def _own(of: type) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(of))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        before.target.id: inspect.cleandoc(node.value.value).replace("``", "`")
        for before, node in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
