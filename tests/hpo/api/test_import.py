"""What ``import hpo`` brings, and what it leaves for later."""

import json
import subprocess
import sys

import pytest

import hpo

HEAVY = ("torch", "ray", "mlflow", "pandas", "numpy", "matplotlib", "plotly", "typer")


def test_import_loads_nothing_heavy_until_it_is_used() -> None:
    code = (
        "import json, sys, hpo\n"
        "for name in ('run', 'open_study', 'list_studies', 'spot', 'UserError'): getattr(hpo, name)\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", hpo.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert name in dir(hpo)
    assert getattr(hpo, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hpo' has no attribute 'tune'"):
        getattr(hpo, "tune")  # noqa: B009 - mypy knows that there is none
