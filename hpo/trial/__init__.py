"""One trial: hyperparameters to model settings, and the Ray trainable."""
