"""The parts of the comparisons with stable-audio-tools.

`link`, `watch`, `theirs` and `training_theirs` run in the reference's environment too, so they import torch
and the standard library alone; the others run where arc_eval is installed.
"""
