"""The stages of an evaluation, each reading what the one before wrote."""
