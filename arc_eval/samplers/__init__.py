"""Functions from noise to data, given a velocity."""
