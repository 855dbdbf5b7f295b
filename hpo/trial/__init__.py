"""One trial: its specification, its files and the Ray trainable."""
