"""Networks and their files, nothing else."""
