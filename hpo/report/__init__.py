"""Tables, figures and the live display of studies."""
