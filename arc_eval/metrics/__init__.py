"""Judges: embeddings to finite Measurements with counts and intervals, or an IncompleteError with the reason.

Mathematics is float64. No metric knows a network: it names the extractor whose rows it reads.
"""
