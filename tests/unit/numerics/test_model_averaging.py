"""Bayesian model averaging against numerical integration."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from pixelcal.numerics.model_averaging import averaged_square


@pytest.mark.parametrize(
    ("measured", "error"), [(0.0, 0.01), (0.02, 0.01), (-0.02, 0.01), (0.1, 0.05)]
)
def test_averaged_square_is_that_of_both_models(measured, error):
    prior = 0.05

    def density(x):
        return 2.0 * norm.pdf(x, 0.0, prior) * norm.pdf(measured, x, error)

    of_none = norm.pdf(measured, 0.0, error)
    of_some, square = quad(density, 0, 1)[0], quad(lambda x: x * x * density(x), 0, 1)[0]
    variance = 1.0 / (1.0 / error**2 + 1.0 / prior**2)
    pull = measured / error**2 * np.sqrt(variance)
    found = averaged_square(pull, np.sqrt(variance), prior)
    assert found == pytest.approx(square / (of_some + of_none), rel=1e-6)
