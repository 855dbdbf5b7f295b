"""Searchers: ask for hyperparameters, tell their scores. They know nothing of Ray."""
