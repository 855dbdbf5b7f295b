"""A study as a Python object: tables, the best configuration, figures, page and networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.api.python_words import python_words
from hpo.config.environment import Environment
from hpo.journal.events import Value
from hpo.journal.results import StudyState, stored_state
from hpo.space.symbols import by_symbol
from hpo.study.recorded.records import (
    failures,
    first_traceback,
    trial_files,
    trial_table,
    validation_table,
)
from hpo.tasks.base.found import found_configuration
from hpo.tasks.base.places import place_of
from model.errors import UserError
from model.shell import shell_line

if TYPE_CHECKING:
    import pandas as pd

    from hpo.api.callbacks import Callback
    from hpo.api.launching import Ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best configuration of a study: the one that ``hpo best`` and the report name."""

    parameters: Mapping[str, Value]
    """Hyperparameters by symbol, as ``hpo best --json`` prints them."""
    score: float
    """Mean score over the seeds, on the validation split."""
    half_width: float | None
    """Half width of the 95 % interval of the mean; None for a single seed."""
    expected: float | None
    """Mean over seeds that the model of a search that has ended predicts; None where there is no model."""
    expected_half_width: float | None
    """Half width of its 95 % interval."""
    seeds: int
    """Number of seeds."""
    stage: str
    """Stage that ranks the configuration first."""
    trial: str
    """Trial whose network represents it."""
    is_chosen: bool
    """Whether the stage has ended and chooses the study's configuration. False for the best so far, and for
    the best of a stage that only compares, such as an ablation."""


class Study:
    """A study on disk. Every method reads it anew, so that a running study can be followed."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        """Refer to the study in ``folder``; use ``hpo.open_study`` or ``hpo.run``."""
        self.folder = folder
        """Folder of the study."""
        self._environment = environment

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.folder.name

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {self.folder}>"

    def trials(self) -> "pd.DataFrame":
        """Return one row per trial, with failed, stopped and running ones; as ``hpo export`` writes it."""
        return trial_table(self._state(), self.folder)

    def validations(self) -> "pd.DataFrame":
        """Return one row per validation: trial, epoch, seconds spent so far, and metrics."""
        return validation_table(self._state())

    def best(self) -> Best:
        """Return the configuration that the study chose, or the best so far.

        As in ``hpo best``, it has the highest mean score over seeds on the validation split. After a search
        has ended, that is the mean that a model of all its trials predicts, where there is such a model.

        Raises:
            UserError: No trial has a score.
        """
        state = self._state()
        found = found_configuration(state)
        if found is None:
            reasons = [failure["reason"] for failure in failures(state, self.folder)]
            raise UserError(
                f"study {self.name!r} has no trial with a score yet",
                **({"first_failure": reasons[0]} if reasons else {}),
            )
        expected = found.configuration.expected
        return Best(
            parameters=by_symbol(found.parameters),
            score=found.configuration.mean,
            half_width=found.configuration.half_width,
            expected=expected.mean if expected else None,
            expected_half_width=expected.half_width if expected else None,
            seeds=len(found.configuration.scores),
            stage=found.stage.stage,
            trial=found.trial.trial,
            is_chosen=found.is_chosen,
        )

    def figures(self) -> dict[str, Any]:
        """Return the interactive figures of all stages (plotly) by ``STAGE/NAME``, as in the report."""
        from hpo.study.plan import plan_of
        from hpo.study.recorded.results import drawn_stage

        state = self._state()
        plan = plan_of(self.folder, state.created)
        return {
            f"{stage}/{figure.name}": figure.interactive
            for stage in state.stages
            for figure in drawn_stage(plan, state, stage, self.folder).figures
        }

    def report(self) -> Path:
        """Write the HTML page about the study, as ``hpo report`` does, and return its path."""
        from hpo.api.reporting import write_report

        return write_report(self._environment, self.folder).page

    def network(self, trial: str | None = None) -> Any:
        """Return the trained network of a trial.

        Args:
            trial: Name of the trial, such as ``bayes-0003``. Default: the one of the best configuration.

        Returns:
            For action spotting a ``model.weights.trained.TrainedNetwork``, for BMN the torch module; for a
            task of your own what its ``load_network`` returns.

        Raises:
            UserError: There is no such trial, or it has no network.
        """
        from hpo.tasks.base.registry import task_named

        state = self._state()
        name = self.best().trial if trial is None else trial
        if name not in state.trials:
            raise UserError(f"study {self.name!r} has no trial {name!r}", known=state.names_of_trials())
        file = trial_files(self.folder, name).get("weights")
        if file is None:
            raise UserError(
                f"trial {self.name}/{name} has no network",
                fix=f"see what it has with: {shell_line('hpo', 'show', f'{self.name}/{name}')}",
            )
        return task_named(state.created.plan["study"]["task"]).load_network(file)

    def resume(
        self,
        *,
        fork: str | None = None,
        data: str | Path | None = None,
        retry_failed: bool = False,
        ray_address: str | None = None,
        hours: float | None = None,
        until: str | None = None,
        notify: str | Sequence[str] = (),
        callbacks: "Sequence[Callback]" = (),
    ) -> "Study":
        """Continue the study after an interruption, as ``hpo resume`` does; its progress is shown.

        Finished trials keep their results; unfinished ones continue from their checkpoints. Nothing happens
        to a study that is complete, except that MLflow gets the records that it lacks.

        Args:
            fork: Name of a copy to continue instead, with the present code and data.
            data: Folder or URI to which the data of the study have moved.
            retry_failed: Whether failed trials are trained again from their beginning.
            ray_address: Address of the Ray cluster that trains. Default: that of the call of ``hpo.run``
                which returned this object, else ``$RAY_ADDRESS``, else this machine.
            hours: Time limit in hours, as for ``hpo.run``. Default: the previous limit.
            until: Time at which the study stops, as for ``hpo.run``.
            notify: Addresses for notifications, as for ``hpo.run``. Default: those of the study.
            callbacks: Functions that are called after every event; see ``hpo.Callback``.

        Returns:
            The study, or its copy.

        Raises:
            UserError: The study is running elsewhere, its data or the code have changed, no trial has failed
                that could be trained again, no trial of a stage has a score, or this is not the main thread.
            KeyboardInterrupt: The study was interrupted again.
        """
        from hpo.api.arguments import check_session, plain_arguments, require_main_thread
        from hpo.api.resuming import resume
        from hpo.study.running.budget import typed_budget

        given = plain_arguments({"hours": hours, "until": until, "notify": notify, "callbacks": callbacks})
        check_session(given)
        require_main_thread()
        with python_words():
            ran = resume(
                self.folder,
                self._environment.on_cluster(ray_address),
                fork=fork,
                data=None if data is None else place_of(data),
                retry_failed=retry_failed,
                budget=typed_budget(given["hours"], until),
                notify=(notify,) if isinstance(notify, str) else notify,
                callbacks=callbacks,
            )
            return study_after(ran, self._environment)

    def _state(self) -> StudyState:
        return stored_state(self.folder)


def study_after(ran: "Ran", environment: Environment) -> Study:
    """Return a study that ran.

    Raises:
        UserError: No trial of a stage has a score.
        KeyboardInterrupt: The study was interrupted.
    """
    from hpo.api.no_score import why_no_score
    from hpo.report.trial_tables import retry_line
    from hpo.study.running.pending_stages import Ending

    if ran.end.ending is Ending.INTERRUPTED:
        raise KeyboardInterrupt
    if why := why_no_score(ran.end, ran.folder):
        details: dict[str, object] = {}
        if traceback := first_traceback(why.failed):
            details["traceback"] = traceback
        if why.failed:
            details["fix"] = retry_line(ran.folder.name, ran.end.state, ran.cluster)
        raise UserError(why.sentence, **details)
    return Study(ran.folder, environment)
