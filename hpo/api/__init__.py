"""Functions that Python users call (see ``hpo``), and the services that they share with the command line."""
