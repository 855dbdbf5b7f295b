"""Tasks that the service can optimise. Each is a module with a ``TASK``, found by its name in study files."""
