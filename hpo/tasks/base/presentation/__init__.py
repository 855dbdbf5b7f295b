"""What a task adds to the tables, figures and commands of the service."""
