"""Tables, figures and commands of boundary-matching networks."""
