"""Linear layers through oneDNN, under the name by which generators take them."""

from arc_eval.models.fast_linear import OneDnnLinear, available, through_onednn

__all__ = ["OneDnnLinear", "available", "through_onednn"]
