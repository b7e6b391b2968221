"""Recipes that turn data and parents into checkpoints."""
