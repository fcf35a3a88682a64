"""Steps of a camera in histories of few epochs: found, or followed, but never flattened."""

import numpy as np
import pytest

from pixelcal.numerics.motion.drift import analyse

SIGMA = 0.4


@pytest.mark.parametrize("n_series", [1, 8, 256])
@pytest.mark.parametrize(("n_epochs", "at"), [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3)])
def test_a_step_in_few_epochs_is_not_smoothed_away(n_series, n_epochs, at):
    """With three steps the limit of a jump is beyond what the likelihood gates: such a step was
    neither a jump nor of the walk, and the best values stayed where they were."""
    random = np.random.default_rng([n_series, n_epochs])
    y = SIGMA * random.standard_normal((n_series, n_epochs, 2))
    y[:, at:] -= 5.0
    r = np.tile([SIGMA**2, 0.0, SIGMA**2], (n_series, n_epochs, 1))
    used = np.ones((n_series, n_epochs), bool)
    days = np.where(np.arange(n_epochs) > 0, 30.0, 0.0)
    module = np.arange(n_series) // 64
    drift = analyse(y, r, used, used, days, module, 0.1)
    step = (drift.best[:, -1] - drift.best[:, 0]).mean(axis=0)
    assert step == pytest.approx([-5.0, -5.0], abs=5 * SIGMA * np.sqrt(2 / n_series))
