"""Recording studies in MLflow: a side door, nothing reads decisions back through it."""
