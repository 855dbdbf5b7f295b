"""Nothing in the folder of reference vectors goes uncompared without a reason that can be seen."""

import importlib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from parity.golden import ABSENT, CLAIMS, FOLDER, Claim, all_cases

NOT_COMPARED = {
    "README.md": "words, not numbers",
}

FOUND = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
FILES = [pytest.param(file, id=file.name) for file in FOUND] or [
    pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")
]


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    """What the test modules of this folder ask for when they are read."""
    for module in Path(__file__).parent.glob("test_*.py"):
        if module != Path(__file__) and "parity.golden" in module.read_text(encoding="utf-8"):
            importlib.import_module(f"parity.{module.stem}")
    return CLAIMS


@pytest.mark.parametrize("file", FILES)
def test_every_case_of_every_file_is_compared_or_says_why_not(file: Path, claims: list[Claim]) -> None:
    concerned = [claim for claim in claims if claim.covers_file(file)]
    reasons = [reason for pattern, reason in NOT_COMPARED.items() if fnmatch(file.name, pattern)]
    if reasons and not concerned:
        pytest.skip(reasons[0])
    assert concerned, f"no test compares {file.name}"
    if file.suffix == ".npz":
        left = [str(case) for case in all_cases(file) if not any(claim.covers(case) for claim in concerned)]
        assert not left, f"no test compares {', '.join(left)}"
