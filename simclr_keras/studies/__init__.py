"""Studies: grids of pre-trainings, their runs and their tables."""
