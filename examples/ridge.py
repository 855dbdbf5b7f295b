"""Tune scikit-learn's ridge regression: a task of one's own is one function.

Run it in this folder; the study file holds one line, task = "ridge":

    export PYTHONPATH=.
    hpo run bayes --study-file ./ridge.toml
    hpo run final
"""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import hpo


def splits(seed):
    """Rows for training and validation, drawn by seed; the rows of the test split are always the same."""
    inputs, answers = load_diabetes(return_X_y=True)
    tuned, tests, tuned_answers, test_answers = train_test_split(inputs, answers, random_state=0)
    return train_test_split(tuned, tuned_answers, random_state=seed), (tests, test_answers)


def fit(parameters, seed):
    (train, valid, answers, valid_answers), test = splits(seed)
    model = make_pipeline(
        PolynomialFeatures(parameters["degree"]), StandardScaler(), Ridge(alpha=parameters["alpha"])
    )
    return model.fit(train, answers), (valid, valid_answers), test


def validate(parameters, seed, report):
    model, valid, _ = fit(parameters, seed)
    return max(0.0, model.score(*valid))


def test(parameters, seed, state):
    model, _, tests = fit(parameters, seed)
    return max(0.0, model.score(*tests))


TASK = hpo.function_task(
    validate,
    space={"alpha": (0.01, 1000.0, "log"), "degree": (1, 3)},
    own={"alpha": 1.0, "degree": 1},
    score="R2",
    trials=12,
    test=test,
)
