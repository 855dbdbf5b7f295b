"""Notifications about a running study, sent through Apprise; a failure to send never harms the study."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpo.config.notify import masked, resolved_urls
from hpo.journal.continuing import resume_command
from hpo.journal.events import HUNG, Event, Noticed, StageFinished, StudyInterrupted, TrialFailed
from hpo.journal.journal import read_journal
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialStatus
from hpo.report.budget_lines import more_time
from hpo.report.formats import mean_with_interval
from hpo.report.trial_tables import retry_line
from hpo.study.running.pending_stages import ALL_FAIL
from hpo.tasks.base.found import best_of_stage
from hpo.tasks.base.registry import score_of
from model.errors import ConfigError, UserError
from model.wording import counted

if TYPE_CHECKING:
    import apprise

MANY_FAILED = 3
"""Least number of failed trials that count as many, if they are half of those that have ended."""
LAST_WORD_S = 10.0
"""Longest wait at the end of a session for the messages that are not sent yet."""


class Message(NamedTuple):
    """Text of a notification."""

    title: str
    body: str


class Channel:
    """Addresses that get notifications, with their secrets.

    Raises:
        ConfigError: Apprise is missing, a variable is not set, or Apprise does not know an address.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._services = [(masked(url), _service(url)) for url in resolved_urls(urls)]

    def send(self, message: Message) -> list[str]:
        """Send a message to all addresses; return those that failed, masked."""
        return [shown for shown, service in self._services if not _delivered(service, message)]


def channel_of(typed: Sequence[str], stored: Sequence[str], say: Callable[[str], None]) -> Channel | None:
    """Return where notifications go; None without addresses.

    Args:
        typed: Addresses that the user has just given, by an option or in a study file.
        stored: Addresses of the study, used if there are none of these. A study goes on without notifications
            where they cannot be used, such as on a machine that lacks the variable.
        say: Called with a line that says so.

    Raises:
        ConfigError: A typed address cannot be used.
    """
    if typed or not stored:
        return Channel(typed) if typed else None
    try:
        return Channel(stored)
    except ConfigError as error:
        say(f"no notifications: {error.message}")
        return None


def _service(url: str) -> "apprise.NotifyBase":
    try:
        import apprise
    except ImportError:
        raise ConfigError(
            "notifications need the package apprise, which is not installed",
            fix="pip install apprise, or install this project with its extra notify",
        ) from None
    # Its messages may hold an address.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise.instantiate(url)
    if service is None:
        raise ConfigError(
            f"Apprise cannot use the address {masked(url)} for notifications",
            expected="an address such as slack://..., mailto://... or json://HOST, or $NAME for the "
            "environment variable that holds one",
            see="https://github.com/caronc/apprise/wiki",
        )
    return service


def _delivered(service: "apprise.NotifyBase", message: Message) -> bool:
    import apprise

    sender = apprise.Apprise()
    sender.add(service)
    try:
        return bool(sender.notify(title=message.title, body=message.body))
    except Exception:  # a service may fail in ways that no list holds
        return False


class Announcements:
    """Decides which events of a study are worth a message.

    Args:
        folder: Folder of the study.
        cluster: Address of the Ray cluster that trains it, which commands that continue it get.
    """

    def __init__(self, folder: Path, cluster: str | None = None) -> None:
        self._name, self._cluster = folder.name, cluster
        self._state: StudyState | None = None
        with suppress(UserError):  # the study does not exist yet
            if events := read_journal(folder).events:
                self._state = StudyState.replay(events)
        self._warned = Counter[str]()

    def of(self, event: Event) -> Message | None:
        """Return the message about an event, if it is worth one. Every event must be given once."""
        if self._state is None:
            self._state = StudyState.replay([event])
        else:
            self._state.apply(event)
        match event:
            case StageFinished():
                return self._stage_end(event.stage, self._state)
            case StudyInterrupted():
                why = event.reason or "stopped before the end"
                how = self._continuation(event, self._state)
                return Message(f"{self._name}: stopped", f"The study has not ended: {why}. {how}")
            case TrialFailed():
                return self._failures(event, self._state)
            case Noticed() if HUNG in event.message:
                return Message(f"{self._name}: a trial hung", event.message)
        return None

    def _continuation(self, event: StudyInterrupted, state: StudyState) -> str:
        """Say how to continue; the same trials would fail again without ``--retry-failed``."""
        if event.reason == ALL_FAIL:
            line = retry_line(self._name, state, self._cluster)
            return f"{line[0].upper()}{line[1:]}"
        if state.budget_over:
            return f"Continue: {more_time(state, cluster=self._cluster)}"
        return f"Continue: {resume_command(self._name, cluster=self._cluster)}"

    def _stage_end(self, stage: str, state: StudyState) -> Message:
        counts, found = state.counts(stage=stage), best_of_stage(state, stage)
        finished = counted(counts[TrialStatus.FINISHED], "trial")
        lines = [f"{finished} finished, {counts[TrialStatus.FAILED]} failed."]
        if found is None:
            lines.append("No trial has a score.")
        else:
            score = mean_with_interval(found.configuration)
            lines.append(f"{score_of(state.created).label} {score} by {found.configuration.name}")
        end = "" if state.pending else ", and the study with it"
        return Message(f"{self._name}: stage {stage} has ended{end}", "\n".join(lines))

    def _failures(self, event: TrialFailed, state: StudyState) -> Message | None:
        stage = state.trials[event.trial].stage
        ended = [trial for trial in state.trials_of(stage) if trial.has_ended]
        failed = sum(trial.status is TrialStatus.FAILED for trial in ended)
        if self._warned[stage] or failed < MANY_FAILED or 2 * failed < len(ended):
            return None
        self._warned[stage] += 1
        title = f"{self._name}: {failed} of {len(ended)} trials of stage {stage} have failed"
        return Message(title, f"The latest reason: {state.trials[event.trial].reason}")


class Sender:
    """Sends messages in a background thread, one after the other; says once that one was not delivered."""

    def __init__(self, channel: Channel, on_failure: Callable[[str], None]) -> None:
        self._channel, self._on_failure = channel, on_failure
        self._waiting: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._told = False
        # A daemon thread, so that a service that hangs does not prevent a finished study from exiting.
        self._thread = threading.Thread(target=self._send_all, name="notify", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Send a message, later."""
        self._waiting.put(message)

    def close(self, timeout_s: float) -> None:
        """Wait until all messages are sent, at most ``timeout_s`` seconds."""
        self._waiting.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._tell(f"a notification was not sent within {timeout_s:g} s")

    def _send_all(self) -> None:
        while (message := self._waiting.get()) is not None:
            if failed := self._channel.send(message):
                self._tell(f"a notification to {', '.join(failed)} was not delivered")

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._on_failure(f"{what}; the study is not affected")


@contextmanager
def notifying(
    channel: Channel | None,
    folder: Path,
    on_failure: Callable[[str], None],
    cluster: str | None = None,
) -> Iterator[list[Callable[[Event], None]]]:
    """Yield what must be called with every event of the study in ``folder`` inside the context.

    Args:
        channel: Where messages go; None: nowhere.
        folder: Folder of the study.
        on_failure: Called once with a line if a message is not delivered.
        cluster: Address of the Ray cluster that trains the study.
    """
    if channel is None:
        yield []
        return
    announcements, sender = Announcements(folder, cluster), Sender(channel, on_failure)

    def announce(event: Event) -> None:
        if message := announcements.of(event):
            sender.put(message)

    try:
        yield [announce]
    except UserError as error:
        sender.put(Message(f"{folder.name}: stopped by an error", error.message))
        raise
    except Exception as error:
        sender.put(Message(f"{folder.name}: stopped by an error", type(error).__name__))
        raise
    finally:
        sender.close(LAST_WORD_S)
