"""A lamp that is not as bright in one flash as in the next, and what looks like one (C7).

Each row is a set of runs, and what the table of fits should say: crosstalk and light without the
fluctuations of the lamp, its jitter (cards JITTER0, JITTER1, ... of spe.fits, a card a run in the
order of the runs, relative to the mean brightness), and an alarm where it is large.
"""

import re

import numpy as np
import pytest
from helpers.charge_faults import (
    N_PIXELS,
    OPCT,
    Fault,
    Run,
    digitised,
    ends,
    flashes,
    good_is_right,
    rows,
    run_chain,
    says,
    with_noise,
    with_pedestals,
)

LIGHTS = (0.7, 2.0)
MANY = 6000
"""Flashes of a run: the mean crosstalk of 16 pixels is then known to 1.2 %."""
ALARM = r"lamp|flash[- ]to[- ]flash|jitter|brightness"


def lamp_runs(jitters, n_flashes=MANY, change=None, pixels=N_PIXELS, report=False):
    """Two runs with a lamp of these relative standard deviations."""

    def make(folder):
        runs = []
        for number, (name, light) in enumerate(zip(("dark", "light"), LIGHTS, strict=True)):
            waveforms = flashes(light, 3, n_flashes, jitters[number], dtype=np.float64)
            if change is not None:
                waveforms = change(waveforms, number)
            runs.append(Run(name, light, digitised(waveforms)))
        return run_chain(folder, runs, report=report, pixels=range(pixels))

    return make


def jitters_of(result):
    """Jitter of each run, as the table of fits has it; in the order of the runs."""
    header = result.spe.meta
    found = sorted(key for key in header if re.fullmatch(r"JITTER\d+", key))
    return [header[key] for key in found]


def fits_are_right(result):
    """Mean crosstalk of the good pixels within 3 %, mean light within 2 %, and two errors each."""
    ends(result)
    table = result.spe[result.good]
    assert len(table) >= 12
    for values, errors, truth, share in (
        (table["OPCT"], table["OPCT_ERR"], OPCT, 0.03),
        (table["LAMBDA"][:, 0], table["LAMBDA_ERR"][:, 0], LIGHTS[0], 0.02),
        (table["LAMBDA"][:, 1], table["LAMBDA_ERR"][:, 1], LIGHTS[1], 0.02),
    ):
        sigma = np.sqrt(np.mean(np.square(errors)) / len(table))
        assert abs(np.mean(values) - truth) < share * truth + 2 * sigma, f"{np.mean(values):.4g}"


def jitter_is(*expected, tolerance=0.03):
    """The jitter stands in the table of fits. At 0 it is uncertain by the root of an error."""

    def check(result):
        ends(result)
        found = jitters_of(result)
        assert len(found) == len(expected), "no card JITTER0, JITTER1, ..."
        for own, true in zip(found, expected, strict=True):
            assert own == pytest.approx(true, abs=tolerance if true else 0.07)

    return check


def alarm(result):
    ends(result)
    says(result, ALARM)


def no_alarm(result):
    ends(result)
    assert not re.search(ALARM, result.said, re.IGNORECASE)


def no_number(result):
    """With too few pixels there is no jitter, no correction, and no traceback."""
    ends(result)
    assert all(np.isnan(own) or own == "" for own in jitters_of(result))


def all_of(*checks):
    def check(result):
        for own in checks:
            own(result)

    return check


def drift(waveforms, number):
    """The lamp fades from 1.3 to 0.7 of its mean brightness: 17 % rms."""
    bright = np.linspace(1.3, 0.7, len(waveforms))
    other = [flashes(LIGHTS[number] * own, 4, 600, dtype=np.float64) for own in STEPS]
    place = np.minimum((np.arange(len(waveforms)) * 10) // len(waveforms), 9)
    assert bright[0] > bright[-1]
    return np.concatenate([own[: (place == i).sum()] for i, own in enumerate(other)])


STEPS = np.linspace(1.3, 0.7, 10)
RMS = float(np.std(STEPS))


def bad_pixel(waveforms, number):
    """One pixel is noise, one has the lamp of no other."""
    random = np.random.default_rng(number)
    waveforms[:, 3] += random.normal(0, 40, waveforms[:, 3].shape)
    waveforms[:, 7] = flashes(LIGHTS[number], 8, MANY, 0.6, dtype=np.float64)[:, 7]
    return waveforms


def noisy(sigma):
    return lambda waveforms, number: with_noise(waveforms, sigma, number)


def mixed(share):
    return lambda waveforms, number: with_pedestals(waveforms, share, number)[0]


def right_or_told(result):
    """No pixel is good and wrong without a word."""
    ends(result)
    if not re.search(ALARM, result.told, re.IGNORECASE):
        good_is_right(result)


C7 = rows(
    Fault("no jitter: the fits", lamp_runs((0, 0)), fits_are_right),
    Fault("no jitter: no alarm", lamp_runs((0, 0)), no_alarm),
    *(
        Fault(f"jitter {own:.0%}: its value", lamp_runs((own, own)), jitter_is(own, own))
        for own in (0.0, 0.1, 0.2, 0.4)
    ),
    Fault("jitter 10%: the fits", lamp_runs((0.1, 0.1)), fits_are_right),
    Fault("jitter 20%: the fits", lamp_runs((0.2, 0.2)), fits_are_right),
    Fault("jitter 40%: the fits", lamp_runs((0.4, 0.4)), fits_are_right),
    Fault("jitter 40%: alarm", lamp_runs((0.4, 0.4)), alarm),
    Fault(
        "jitter 30% in the brighter run only",
        lamp_runs((0.0, 0.3)),
        all_of(fits_are_right, jitter_is(0.0, 0.3)),
    ),
    Fault(
        "a lamp that fades within the run",
        lamp_runs((0, 0), change=drift),
        all_of(fits_are_right, jitter_is(RMS, RMS)),
    ),
    Fault(
        "jitter 20%, two bad pixels",
        lamp_runs((0.2, 0.2), change=bad_pixel),
        jitter_is(0.2, 0.2),
    ),
    Fault("noise of 0.2 pe that all pixels share", lamp_runs((0, 0), change=noisy(6)), no_alarm),
    Fault(
        "noise of 0.2 pe that all pixels share: the fits",
        lamp_runs((0, 0), change=noisy(6)),
        fits_are_right,
    ),
    Fault(
        "jitter 20% and noise of 0.1 pe that all pixels share",
        lamp_runs((0.2, 0.2), change=noisy(3)),
        all_of(fits_are_right, jitter_is(0.2, 0.2)),
    ),
    Fault("two pixels only", lamp_runs((0.2, 0.2), pixels=2), no_number),
    *(
        Fault(
            f"{share:.0%} events without light",
            lamp_runs((0, 0), change=mixed(share)),
            all_of(alarm, jitter_is(*[np.sqrt(share / (1 - share))] * 2, tolerance=0.05)),
        )
        for share in (0.1, 0.3, 0.5)
    ),
    Fault(
        "2% events without light",
        lamp_runs((0, 0), change=mixed(0.02)),
        all_of(fits_are_right, jitter_is(*[np.sqrt(0.02 / 0.98)] * 2)),
    ),
)


@pytest.mark.parametrize("fault", C7)
def test_the_lamp(fault, tmp_path):
    fault.check(fault.make(tmp_path))


def test_the_page_has_the_jitter_of_each_run(tmp_path):
    result = lamp_runs((0.2, 0.2), report=True)(tmp_path)
    ends(result)
    says(result, ALARM)
    value = 100 * jitters_of(result)[0]
    assert f"{value:.1f}" in result.page
