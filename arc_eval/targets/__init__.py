"""Places where a generator runs and is timed."""
