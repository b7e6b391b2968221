"""The nuclear norm of a matrix: the sum of its singular values, by the fastest way that is exact for it.

Squares of the singular values come from a symmetric eigenproblem several times faster than the values
themselves, but a square is known only to rounding of the *largest* square: a value that is 1e-8 of the
largest is then lost. So the squares say how large their error can be, and where that is not
negligible (rank-deficient and ill-conditioned matrices) the singular values are computed after all.
"""

import numpy as np
import torch
from torch import Tensor

NEGLIGIBLE = 1e-11
"""Largest relative error of the norm for which the squares are believed."""


def nuclear_norm(
    matrix: Tensor,  # float64[row, column]
) -> float:
    """Sum of the singular values, relative error at most NEGLIGIBLE, never negative."""
    if matrix.numel() == 0:
        return 0.0
    norm, error = norm_by_squares(matrix)
    return norm if error <= NEGLIGIBLE * norm else float(torch.linalg.svdvals(matrix).sum())


def norm_by_squares(
    matrix: Tensor,  # float64[row, column]
) -> tuple[float, float]:
    """The sum of the roots of the eigenvalues of the smaller gram matrix, and a bound on its error."""
    from scipy.linalg import eigvalsh
    from scipy.linalg.blas import dsyrk

    values = matrix.numpy()
    tall = values if values.shape[0] >= values.shape[1] else values.T
    # One triangle of tall.T @ tall, at half the price of the product; BLAS reads columns first.
    gram = dsyrk(1.0, tall.T, trans=0) if tall.flags.c_contiguous else dsyrk(1.0, tall, trans=1)
    squares = np.maximum(eigvalsh(gram, lower=False, driver="evd", check_finite=False), 0.0)
    wrong = len(squares) * np.finfo(np.float64).eps * squares[-1]
    roots = np.sqrt(squares)
    # |sqrt(s + e) - sqrt(s)| is at most e / sqrt(s), and at most sqrt(e).
    error = np.minimum(wrong / np.maximum(roots, 1e-300), np.sqrt(wrong)).sum()
    return float(roots.sum()), float(error)
