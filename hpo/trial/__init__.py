"""One trial: its order, its files and the Ray trainable."""
