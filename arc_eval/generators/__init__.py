"""Adapters: the things under test."""
