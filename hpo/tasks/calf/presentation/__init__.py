"""Tables, figures and commands of action spotting."""
