"""Positive definite systems of a dozen unknowns, compiled: cheaper here than a call to LAPACK."""

from __future__ import annotations

import numpy as np

from pixelcal.numerics.jit import njit


@njit
def cholesky(matrix):
    """Lower triangle of the factor; its first element is NaN where the matrix is not positive."""
    n = matrix.shape[0]
    lower = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 0.0:
                    lower[0, 0] = np.nan
                    return lower
                lower[i, i] = np.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
    return lower


@njit
def is_positive(lower):
    """Whether the matrix of the factor `lower` is positive definite."""
    return not np.isnan(lower[0, 0])


@njit
def solve(lower, vector):
    """Solution of the system whose matrix has the factor `lower`; NaN where it has none."""
    n = vector.shape[0]
    if np.isnan(lower[0, 0]):
        return np.full(n, np.nan)
    x = vector.copy()
    for i in range(n):
        for k in range(i):
            x[i] -= lower[i, k] * x[k]
        x[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= lower[k, i] * x[k]
        x[i] /= lower[i, i]
    return x


@njit
def inverse(lower):
    """Inverse of the matrix with the factor `lower`; NaN where it has none.

    The inverse of the factor row by row, then its product with itself: rows are added to rows, so
    that no sum waits for the one before.
    """
    n = lower.shape[0]
    if np.isnan(lower[0, 0]):
        return np.full((n, n), np.nan)
    root, inverse = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for k in range(i):
            factor = lower[i, k]
            for j in range(k + 1):
                root[i, j] -= factor * root[k, j]
        for j in range(i):
            root[i, j] /= lower[i, i]
        root[i, i] = 1.0 / lower[i, i]
    for k in range(n):
        for i in range(k + 1):
            factor = root[k, i]
            for j in range(i + 1):
                inverse[i, j] += factor * root[k, j]
    for i in range(n):
        for j in range(i):
            inverse[j, i] = inverse[i, j]
    return inverse


@njit
def inverse_forms(lower, columns):
    """v^T A^-1 v (m,) of each of the columns v (n, m), with A that of the factor `lower`."""
    n, m = columns.shape
    rows, result = columns.copy(), np.zeros(m)
    for i in range(n):
        for k in range(i):
            factor = lower[i, k]
            for s in range(m):
                rows[i, s] -= factor * rows[k, s]
        factor = 1.0 / lower[i, i]
        for s in range(m):
            rows[i, s] *= factor
            result[s] += rows[i, s] * rows[i, s]
    return result


@njit
def dot(a, b):
    """Scalar product of two vectors."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@njit
def quadratic_form(matrix, vector):
    """The scalar vector . matrix . vector."""
    total = 0.0
    for i in range(vector.shape[0]):
        for j in range(vector.shape[0]):
            total += vector[i] * matrix[i, j] * vector[j]
    return total


@njit
def copy_into(target, source):
    """Copy an array of one or two dimensions: assignment to a slice compiles for seconds."""
    flat, values = target.ravel(), source.ravel()
    for i in range(flat.shape[0]):
        flat[i] = values[i]


@njit
def any_of(flags):
    """Whether any of the flags (n,) is set."""
    for flag in flags:  # noqa: SIM110 - compiled in a tenth of the time of numpy's
        if flag:
            return True
    return False


@njit
def inside(values, lowest, highest):
    """The values (n,), those beyond their limits (n,) put on them."""
    limited = np.empty(values.shape[0])
    for i in range(values.shape[0]):
        limited[i] = min(max(values[i], lowest[i]), highest[i])
    return limited


@njit
def cut_off(matrix, held):
    """Cut the parameters `held` off from the others, in place."""
    for p in range(held.shape[0]):
        if held[p]:
            diagonal = matrix[p, p]
            for q in range(held.shape[0]):
                matrix[p, q] = 0.0
                matrix[q, p] = 0.0
            matrix[p, p] = diagonal if diagonal > 0.0 else 1.0


@njit
def at_active_bound(value, gradient, lowest, highest):
    """Whether a parameter is at a limit and what is minimised falls beyond it."""
    return (value <= lowest and gradient > 0.0) or (value >= highest and gradient < 0.0)
