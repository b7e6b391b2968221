"""Sums over what intervals resample or leave out: prompts, or recordings with all their prompts."""

from collections.abc import Sequence

from torch import Tensor

from arc_eval.metrics.evidence import Rows
from arc_eval.records.repeated import Repeated


def unit_places(units: Sequence[str]) -> Tensor:
    """int64[row], the place of each row's unit among all in the order of their names."""
    each = Repeated.of(units)
    place = {unit: index for index, unit in enumerate(sorted(set(each.names)))}
    return each.each(place.__getitem__)


def by_unit_sum(values: Tensor, described: Rows) -> Tensor:
    """float64[unit], the sum of float64[row] over each unit's rows, units in order of their names."""
    places = unit_places(described.units)
    return values.new_zeros(int(places.max()) + 1).index_add_(0, places, values)
