"""The nuclear norm of a matrix: the sum of its singular values, by the fastest way that is exact for it.

Squares of the singular values come from a symmetric eigenproblem several times faster than the values
themselves, but a square is known only to rounding of the *largest* square: a value that is 1e-8 of the
largest is then lost. So the squares say how large their error can be, and where that is not
negligible (rank-deficient and ill-conditioned matrices) the singular values are computed after all.
"""

import numpy as np
import torch
from torch import Tensor

NEGLIGIBLE = 1e-9
"""Largest relative error of the result for which the squares are believed."""


def nuclear_norm(
    matrix: Tensor,  # float64[row, column]
    total: float | None = None,
) -> float:
    """Sum of the singular values, never negative.

    If twice the norm will be taken from a `total`, the error is held against what then remains, which
    may be far less than the norm; else against the norm.
    """
    if matrix.numel() == 0:
        return 0.0
    norm, error = norm_by_squares(matrix)
    result = norm if total is None else (total - 2 * norm) / 2
    return norm if error <= NEGLIGIBLE * result else float(torch.linalg.svdvals(matrix).sum())


def norm_by_squares(
    matrix: Tensor,  # float64[row, column]
) -> tuple[float, float]:
    """The sum of the roots of the eigenvalues of the smaller gram matrix, and how far off it may be."""
    from scipy.linalg import eigvalsh
    from scipy.linalg.blas import dsyrk

    values = matrix.numpy()
    tall = values if values.shape[0] >= values.shape[1] else values.T
    # One triangle of tall.T @ tall, at half the price of the product; BLAS reads columns first.
    gram = dsyrk(1.0, tall.T, trans=0) if tall.flags.c_contiguous else dsyrk(1.0, tall, trans=1)
    squares = np.maximum(eigvalsh(gram, lower=False, driver="evd", check_finite=False), 0.0)
    # Roundings of n steps add up like random ones; at worst, which never happens, it would be n times eps.
    wrong = 2 * np.sqrt(max(matrix.shape)) * np.finfo(np.float64).eps * squares[-1]
    roots = np.sqrt(squares)
    # |sqrt(s + e) - sqrt(s)| is at most e / sqrt(s), and at most sqrt(e).
    error = np.minimum(wrong / np.maximum(roots, 1e-300), np.sqrt(wrong)).sum()
    return float(roots.sum()), float(error)


def triangle_product(
    a: Tensor,  # float64[row, column], zero below its diagonal
    b: Tensor,  # float64[other row, column]
) -> Tensor:
    """float64[row, other row], a @ b.T at half the price where `a` is square."""
    from scipy.linalg.blas import dtrmm

    if a.shape[0] != a.shape[1]:
        return a @ b.T
    # BLAS reads columns first: it sees both transposed, so `a` as a lower triangle.
    return torch.from_numpy(dtrmm(1.0, a.numpy().T, b.numpy().T, lower=1, trans_a=1))
