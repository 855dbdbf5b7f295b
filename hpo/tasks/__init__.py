"""What is optimised: each task is a module with a ``TASK``, found by its name in study files."""
