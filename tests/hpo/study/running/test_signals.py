"""Signals that stop a study: one of them, like Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hpo.study.running.signals import signals_as_ctrl_c


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """Signals as in a terminal, also where the tests run in the background or after nohup."""
    usual = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_stops_a_study_in_the_background_of_a_script() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell without job control sets it
    with signals_as_ctrl_c(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_ctrl_c_once(number: signal.Signals) -> None:
    with signals_as_ctrl_c():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)


def test_the_handlers_from_before_come_back_also_those_that_ray_tune_replaces() -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    with signals_as_ctrl_c():
        assert [
            signal.getsignal(number) == handler for number, handler in zip(numbers, before, strict=True)
        ] == [
            False,
            False,
            True,
            True,
        ]
        for number in (signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda number, frame: None)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


CLOSED = """
import os, signal
from hpo.study.running.signals import signals_as_ctrl_c
with signals_as_ctrl_c():
    try:
        print("ready", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    print("to nobody", flush=True)
"""


def test_words_to_a_terminal_that_was_closed_are_no_error() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CLOSED], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = b""
    while not said.endswith(b"\n"):  # closed earlier, the terminal would break off the word itself
        said += os.read(ours, 16)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0
