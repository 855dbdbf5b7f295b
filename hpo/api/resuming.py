"""Continuation of a stopped study, for the command line and for Python users."""

from collections.abc import Sequence
from pathlib import Path

from hpo.api.callbacks import Callback
from hpo.api.launching import Ran
from hpo.api.notifying import channel_of
from hpo.api.watching import ReadingProgress, say, tell_end, watch
from hpo.config.environment import Environment
from hpo.journal.events import BudgetSet
from hpo.journal.results import stored_state
from hpo.study.folders import study_folder
from hpo.study.plan import stored_plan
from hpo.study.reopening import retried_stages
from hpo.study.running.session import fork_study, resume_study


def resume(
    folder: Path,
    environment: Environment,
    *,
    fork: str | None = None,
    data: str | None = None,
    retry_failed: bool = False,
    budget: BudgetSet | None = None,
    notify: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
) -> Ran:
    """Resume the study in ``folder``, or a copy of it.

    Args:
        folder: Folder of the study.
        environment: Names the folder of studies, MLflow's store and the Ray cluster.
        fork: Name of the copy to resume instead, with the present code and data.
        data: Place to which the data of the study have moved, as ``chosen_place`` returns it.
        retry_failed: Whether failed trials are trained again from their beginning.
        budget: Budget that replaces the earlier one; None: that still holds.
        notify: Addresses for notifications. Empty: those of the study.
        callbacks: Called after every event.

    Raises:
        UserError: The study is running elsewhere, its data or the code have changed, or no trial has failed
            that could be trained again.
    """
    plan = stored_plan(folder)
    channel = channel_of(notify, plan.study.notify.urls, say)
    with ReadingProgress() as progress:
        if retry_failed:  # checked before there is a copy
            retried_stages(stored_state(folder))
        if fork is not None:
            fork_study(folder.name, fork, environment, progress, data=data)
            folder = study_folder(environment, fork)
            plan = stored_plan(folder)
        with watch(plan, folder.name, environment, callbacks, channel) as listener:
            end = resume_study(
                folder.name,
                environment,
                progress,
                listener,
                data=data,
                budget=budget,
                retry_failed=retry_failed,
            )
    tell_end(end, plan, folder.name, environment)
    return Ran(plan=plan, folder=folder, end=end, cluster=environment.ray_address)
