"""A stock Flower app whose result depends on all that went before, and on nothing else."""
