"""Commands: one typed function each; errors become exit codes here and nowhere else."""
