"""The service: studies of hyperparameters, scheduled by Ray Tune and recorded in MLflow."""

__version__ = "0.1.0"
