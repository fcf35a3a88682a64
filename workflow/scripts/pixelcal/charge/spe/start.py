"""Where the fit of single-photoelectron spectra begins: from the data, whatever the guess.

The peaks stand in a comb of spacing pe, so the characteristic function |<exp(2 pi i f x)>| of a
spectrum has a maximum at f = 1/pe, whatever the illumination, and its phase there says where the
comb stands. The tooth with the pedestal is the lowest that is populated, of the darkest run; in
the others it is the nearest one, and where that is not their lowest, this too is tried. Its
fraction of the flashes gives lambda, the mean charge gives the crosstalk, the lower flank of the
pedestal its width. Several spacings are proposed (the highest maxima, a guess of the user, a
multiple of the width of the spectrum); the likelihood decides between them.
"""

from __future__ import annotations

import math

import numpy as np

from pixelcal.charge.spe.likelihood import moments_of
from pixelcal.charge.spe.parameters import N_PER_RUN, N_SHARED, OPCT, PE, V_PE, V_PED
from pixelcal.numerics.jit import njit
from pixelcal.numerics.linalg import copy_into

N_FREQUENCIES = 130
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 0.2, 5.0
"""Searched, in units of one over the width of the darkest spectrum. That width is
pe sqrt(lambda / (1 - opct)^3): 0.2 to 5 pe for what an SPE run may have."""
N_MAXIMA = 4
NOISE = 6.0
"""Counting noise makes |characteristic function|^2 = 1/N on average, and 6/N once in 400."""

PEDESTAL_OF_NEXT = 0.06
"""A tooth is taken for the pedestal when it has at least this fraction of the next one's counts.
What the pedestal spills into the tooth below is less (5 % at sigma_ped = 0.3 pe, where no peak is
left to be seen); what is left dark at lambda = 15 is more."""
POPULATED = 0.002
WIDTHS_WITHOUT_COMB = (0.4, 1.0, 2.5)
"""Spacings to try where no comb is seen, in widths of the darkest spectrum."""
SIGMA_PE_FRACTION = 0.1
LOWEST_START, HIGHEST_START = 0.02, 0.7
"""Range of the start of opct: at its limits the likelihood is flat."""
SHIFTS = (0.0, -1.0, 1.0)
"""The pedestal may be another tooth than the one that looks like it."""


@njit
def characteristic(counts, start, width, frequency):
    """Real and imaginary part of <exp(2 pi i f x)> of one spectrum (n,)."""
    angle = 2.0 * math.pi * frequency
    turn_re, turn_im = math.cos(angle * width), math.sin(angle * width)
    re, im = math.cos(angle * (start + 0.5 * width)), math.sin(angle * (start + 0.5 * width))
    total, sum_re, sum_im = 0.0, 0.0, 0.0
    for j in range(counts.shape[0]):
        count = counts[j]
        total += count
        sum_re += count * re
        sum_im += count * im
        re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
    return sum_re / total, sum_im / total


@njit
def add_power(counts, start, width, frequency, power):
    """Add |<exp(2 pi i f x)>|^2 of one spectrum (n,) at the frequencies (m,) to `power` (m,).

    All frequencies go through the spectrum together, because a processor then turns several at
    once. For one frequency, each turn would wait for the one before.
    """
    m = len(frequency)
    turn_re, turn_im, re, im = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    sum_re, sum_im, total = np.zeros(m), np.zeros(m), 0.0
    for i in range(m):
        angle = 2.0 * math.pi * frequency[i]
        turn_re[i], turn_im[i] = math.cos(angle * width), math.sin(angle * width)
        middle = angle * (start + 0.5 * width)
        re[i], im[i] = math.cos(middle), math.sin(middle)
    for count in counts:
        total += count
        for i in range(m):
            sum_re[i] += count * re[i]
            sum_im[i] += count * im[i]
            turned = re[i] * turn_re[i] - im[i] * turn_im[i]
            im[i] = re[i] * turn_im[i] + im[i] * turn_re[i]
            re[i] = turned
    for i in range(m):
        power[i] += (sum_re[i] / total) ** 2 + (sum_im[i] / total) ** 2


@njit
def comb_maxima(spectra):
    """Spacings (N_MAXIMA,) of the highest maxima of the characteristic function; 0 beyond them."""
    n_runs = spectra.counts.shape[0]
    darkest = darkest_run(spectra)
    counts = spectra.counts[darkest]
    _, _, spread = moments_of(counts, spectra.start[darkest], spectra.width)
    power = np.zeros(N_FREQUENCIES)
    ratio = (HIGHEST_FREQUENCY / LOWEST_FREQUENCY) ** (1.0 / (N_FREQUENCIES - 1))
    frequency = np.empty(N_FREQUENCIES)
    for i in range(N_FREQUENCIES):
        frequency[i] = LOWEST_FREQUENCY / spread * ratio**i
    noise = 0.0
    for run in range(n_runs):
        add_power(spectra.counts[run], spectra.start[run], spectra.width, frequency, power)
        noise += NOISE / spectra.counts[run].sum()
    found, height = np.zeros(N_MAXIMA), np.zeros(N_MAXIMA)
    for i in range(1, N_FREQUENCIES - 1):
        if power[i] < noise or power[i] <= power[i - 1] or power[i] < power[i + 1]:
            continue
        value, spacing = power[i], 1.0 / frequency[i]
        for k in range(N_MAXIMA):
            if value > height[k]:
                value, height[k] = height[k], value
                spacing, found[k] = found[k], spacing
    return found


@njit
def strongest_spacing(spectra):
    """Spacing of the comb that is seen best, to within the step of the search; 0 for none."""
    return comb_maxima(spectra)[0]


@njit
def propose_spacings(spectra, guess):
    """Candidates (m,) for pe: maxima of the characteristic function, the guess, widths.

    `guess` is NaN where there is none.
    """
    found = comb_maxima(spectra)
    spread = dark_spread(spectra)
    n_found = 0
    while n_found < N_MAXIMA and found[n_found] > 0.0:
        n_found += 1
    n_guess = 0 if math.isnan(guess) else 1
    spacings = np.empty(n_found + n_guess + len(WIDTHS_WITHOUT_COMB))
    for i in range(n_found):
        spacings[i] = found[i]
    if n_guess:
        spacings[n_found] = guess
    for i, factor in enumerate(WIDTHS_WITHOUT_COMB):
        spacings[n_found + n_guess + i] = factor * spread
    return spacings


@njit
def darkest_run(spectra):
    """The run whose charges spread least: its lowest peak is the pedestal most surely."""
    best, least = 0, math.inf
    for run in range(spectra.counts.shape[0]):
        _, _, spread = moments_of(spectra.counts[run], spectra.start[run], spectra.width)
        if spread < least:
            best, least = run, spread
    return best


@njit
def dark_spread(spectra):
    """Standard deviation of the charges of the darkest run."""
    darkest = darkest_run(spectra)
    return moments_of(spectra.counts[darkest], spectra.start[darkest], spectra.width)[2]


@njit
def in_tooth(counts, start, width, centre, half):
    """Counts of one spectrum (n,) within `half` of `centre`, and their lower half width."""
    inside, below, square = 0.0, 0.0, 0.0
    first = max(int((centre - half - start) / width), 0)
    last = min(int((centre + half - start) / width), counts.shape[0] - 1)
    for j in range(first, last + 1):
        x = start + (j + 0.5) * width - centre
        if abs(x) <= half:
            inside += counts[j]
            if x <= 0.0:
                below += counts[j]
                square += counts[j] * x * x
    spread = math.sqrt(square / below) if below > 0.0 else 0.0
    return inside, spread


@njit
def tooth_near(counts, start, width, pe, near):
    """Place of the tooth of the comb of spacing `pe` that is nearest to `near`."""
    re, im = characteristic(counts, start, width, 1.0 / pe)
    phase = math.atan2(im, re) / (2.0 * math.pi) * pe
    return phase + pe * math.floor((near - phase) / pe + 0.5)


@njit
def lowest_tooth(counts, start, width, pe):
    """Place of the lowest populated tooth of one spectrum (n,), taken for the pedestal."""
    total, mean, _ = moments_of(counts, start, width)
    place = tooth_near(counts, start, width, pe, start + 0.5 * pe)
    end = max(mean, start) + pe
    while place < end:
        inside, _ = in_tooth(counts, start, width, place, 0.5 * pe)
        above, _ = in_tooth(counts, start, width, place + pe, 0.5 * pe)
        if inside >= POPULATED * total and inside >= PEDESTAL_OF_NEXT * above:
            return place
        place += pe
    return mean


@njit
def start_at(spectra, pe, shift, apart=False):
    """Start (p,) of the fit for a spacing `pe`; the pedestal is `shift` teeth further up.

    The pedestals of the other runs are near that of the darkest one, or `apart`: the lowest
    populated tooth of each.
    """
    n_runs = spectra.counts.shape[0]
    theta = np.empty(N_SHARED + N_PER_RUN * n_runs)
    darkest = darkest_run(spectra)
    counts, start = spectra.counts[darkest], spectra.start[darkest]
    pedestal = lowest_tooth(counts, start, spectra.width, pe) + shift * pe
    total, mean, _ = moments_of(counts, start, spectra.width)
    dark, spread = in_tooth(counts, start, spectra.width, pedestal, 0.5 * pe)
    illumination = -math.log(min(max(dark / total, 1.0 / total), 0.999))
    above = max(mean - pedestal, 0.05 * pe) / pe
    opct = min(max(1.0 - illumination / above, LOWEST_START), HIGHEST_START)
    theta[V_PED] = max(spread, 0.5 * spectra.width) ** 2
    theta[PE] = pe
    theta[V_PE] = (SIGMA_PE_FRACTION * pe) ** 2
    theta[OPCT] = opct
    for run in range(n_runs):
        counts, start = spectra.counts[run], spectra.start[run]
        near = pedestal
        if run != darkest and apart:
            near = lowest_tooth(counts, start, spectra.width, pe)
        elif run != darkest:
            near = tooth_near(counts, start, spectra.width, pe, pedestal)
        _, mean, _ = moments_of(counts, start, spectra.width)
        first = N_SHARED + N_PER_RUN * run
        theta[first] = near
        theta[first + 1] = max(mean - near, 0.02 * pe) / pe * (1.0 - opct)
    return theta


@njit
def has_other_pedestals(theta, other):
    """Whether the pedestals of a run are different teeth in two starts (p,) of one spacing."""
    for i in range(N_SHARED, theta.shape[0], N_PER_RUN):
        if abs(theta[i] - other[i]) > 0.5 * theta[PE]:
            return True
    return False


@njit
def all_starts(spectra, spacings):
    """A start (m, p) for each spacing, and for each tooth that may be the pedestal."""
    n_theta = N_SHARED + N_PER_RUN * spectra.counts.shape[0]
    starts = np.empty((len(spacings) * (len(SHIFTS) + 1), n_theta))
    n = 0
    for spacing in spacings:
        for shift in SHIFTS:
            copy_into(starts[n], start_at(spectra, spacing, shift))
            n += 1
        apart = start_at(spectra, spacing, 0.0, True)
        if has_other_pedestals(starts[n - len(SHIFTS)], apart):
            copy_into(starts[n], apart)
            n += 1
    return starts[:n]
