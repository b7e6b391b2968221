"""Which clips or windows can go through a network together: those of one size."""

from collections.abc import Iterator, Sequence


def alike(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of equal size, at most so many together; every place once."""
    for size in dict.fromkeys(sizes):
        places = [place for place, other in enumerate(sizes) if other == size]
        for start in range(0, len(places), most):
            yield places[start : start + most]
