"""Tables, figures and commands that a task adds to the service."""
