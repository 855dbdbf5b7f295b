"""The small data set of the end-to-end tests, and a command line of which every command is a process."""

from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from e2e.conftest import empty_store, shared_cache, small_data

__all__ = ["empty_store", "shared_cache", "small_data"]


@pytest.fixture
def hpo(tmp_path: Path, small_data: Path, shared_cache: Path, empty_store: Path) -> CommandLine:
    return CommandLine(tmp_path, small_data, shared_cache).with_store(empty_store)
