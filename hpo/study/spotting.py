"""What only studies of action spotting have: games that can be spotted and analysed."""

from hpo.study.plan import StudyPlan
from hpo.tasks.calf.settings import GamesShape, training_config
from hpo.tasks.calf.study_file import CalfStudy
from model.errors import UserError
from model.training.config import TrainingConfig


def spotting_study(plan: StudyPlan) -> CalfStudy:
    """The study file of a study that spots actions.

    Raises:
        UserError: The study is of another task.
    """
    if not isinstance(plan.study, CalfStudy):
        raise UserError(f"expected a study of action spotting (task calf), this one is of {plan.study.task}")
    return plan.study


def spotting_training(plan: StudyPlan) -> TrainingConfig:
    """How its trials are trained and scored.

    Raises:
        UserError: The study is of another task.
    """
    study, shape = spotting_study(plan), plan.shape
    assert isinstance(shape, GamesShape)
    return training_config(study, shape, precision=plan.precision)
