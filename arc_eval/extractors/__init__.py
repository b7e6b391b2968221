"""Adapters: audio to rows of numbers."""
