"""The command line: one module a command. click is imported here and nowhere else."""
