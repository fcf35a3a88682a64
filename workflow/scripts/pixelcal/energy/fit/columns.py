"""Columns of a fit, whatever the method: one row per pixel; and those without each block."""

from __future__ import annotations

import numpy as np

from pixelcal.energy.relation import RELATION_COLUMNS

FIT_DTYPE = np.dtype(
    [
        ("DETNUM", "i2"),
        ("GAIN", "f8"),
        ("OFFSET", "f8"),
        ("GAIN_ERR", "f8"),
        ("OFFSET_ERR", "f8"),
        ("GAIN_OFFSET_COV", "f8"),
        ("FWHM_60", "f8"),
        ("COUNTS", "i4"),
        ("STAT", "f8"),
        ("DOF", "i4"),
        ("PVALUE", "f8"),
        ("NITER", "i2"),
        ("STATUS", "i4"),
        ("FWHM_60_ERR", "f8"),
        ("PVALUE_CAMERA", "f8"),
        ("TAIL", "f8"),
        ("TAIL_ERR", "f8"),
        ("DRIFT", "f8"),
        ("DRIFT_PVALUE", "f8"),
        ("FIRST_FRACTION", "f8"),
        ("TENSION", "f8"),
        ("BLOCKS_OUT", "i4"),
        ("LOWEST_CHANNEL", "i2"),
        ("WIDTH_RATIO", "f8"),
        ("WIDTH_RATIO_ERR", "f8"),
        ("BEND", "f8"),
        ("BEND_ERR", "f8"),
        ("SECOND_SIGMA", "f8"),
        ("SECOND_STRETCH", "f8"),
        ("SECOND_PART", "i2"),
        ("SECOND_FRACTION", "f8"),
        ("SECOND_GAIN", "f8"),
        ("SECOND_OFFSET", "f8"),
        ("NOISE", "f8"),
    ]
)
SECOND_COLUMNS = tuple(name for name in FIT_DTYPE.names if name.startswith("SECOND_"))
"""As `fit.checks.second_state.SecondState` has its fields."""

"""What every fit method returns: one row per pixel. Units as in `FIT_UNITS`.

PVALUE_CAMERA is the p-value by what is typical of the camera, whose pixels may all be a little
unlike the model: POOR_FIT goes by it. TAIL is the factor on the strength of the camera's low-energy
tail; DRIFT the energy in the first half of the exposure minus that in the second, at the pivot
where it is larger; DRIFT_PVALUE the probability of such a difference without a change;
FIRST_FRACTION the fraction of the counts in the first half; TENSION the largest shift of a block
over its error; BLOCKS_OUT has bit 2**b where block b was left out of the fit because it cannot be
believed;
LOWEST_CHANNEL is the first one that the threshold of the pixel takes no counts from, 0 where it
reaches into no block;
WIDTH_RATIO is the width of the lines over the camera's by the counts of the pixel alone, to which
FWHM_60 comes only with enough of them; BEND how far the energies lie above a straight relation in
the middle of the lines, were they on a parabola; SECOND_SIGMA the significance of counts at another
gain, SECOND_STRETCH that gain over GAIN minus 1, SECOND_PART the half that they are in: 1 or 2, 0
for both, SECOND_FRACTION their fraction of the counts of that part, to first order; SECOND_GAIN and
SECOND_OFFSET are the relation averaged over both gains, NaN where no score suggests two; NOISE the
counts of electronic noise in the lowest block, 0 where none is likely, NaN where a block was left
out."""

FIT_UNITS = {
    "GAIN": "keV/chan",
    "OFFSET": "keV",
    "GAIN_ERR": "keV/chan",
    "OFFSET_ERR": "keV",
    "GAIN_OFFSET_COV": "keV**2/chan",
    "FWHM_60": "keV",
    "FWHM_60_ERR": "keV",
    "DRIFT": "keV",
    "BEND": "keV",
    "BEND_ERR": "keV",
    "COUNTS": "count",
    "NOISE": "count",
    "SECOND_GAIN": "keV/chan",
    "SECOND_OFFSET": "keV",
}

LEAVE_OUT_EXTENSION = "LEAVEOUT"
LEAVE_OUT_UNITS = {name: FIT_UNITS[name] for name in RELATION_COLUMNS}
"""Extension of the fits without each of the blocks, see `fit.leave_one_out`."""

RESIDUAL_EXTENSION = "RESIDUALS"
RESIDUAL_UNITS = {"COUNTS": "count", "EXPECTED": "count", "VARIANCE": "count**2"}
"""Extension of the residuals in bins of energy, see `fit.checks.residuals`."""

CHANNEL_EXTENSION, CHANNEL_UNITS = "RESIDUALS_CHANNELS", {"EXPECTED": "count"}
"""Extension of the expected counts of the channels of pixels, and of their sums in a relation."""

RESIDUAL_STEP_KEV = 0.5
"""Width of the bins, which a whole number of them in a block changes: a third of the FWHM."""

SECOND_SIGMA = 4.1
"""Counts at other gains are clear from here on, for the best of 16 stretches of three kinds: in
some 4 of 10 000 healthy pixels."""

CHANGE_KEV = 0.15
"""Halves of an exposure that differ by less agree as well as matters."""

BEND_SIGMA, BEND_KEV = 3.5, 0.15
"""A relation is bent where its bend is so clear and so large: 5 of 10 000 healthy pixels, and none
whose counts tell a bend that does not matter."""

POPULATION_SIGMA = 5.0
"""A pixel is none of the camera's where it is further off than so many standard deviations of the
true differences between its pixels. What is by chance is rarer than what pixels do: from 3.5 on."""


def detnum_dtype(n_pixels: int) -> np.dtype:
    """The smallest of the usual integers that holds the numbers of the pixels of a camera."""
    return np.dtype("i2" if n_pixels <= 2**15 else "i4")


def fit_dtype(detnum: np.ndarray) -> np.dtype:
    """`FIT_DTYPE` with a DETNUM that holds the numbers `detnum` (n,)."""
    detnum = np.asarray(detnum)
    of_detnum = detnum.dtype.newbyteorder("=")
    if of_detnum.name not in ("int16", "int32"):
        of_detnum = detnum_dtype(int(detnum.max(initial=0)) + 1)
    others = [(name, FIT_DTYPE[name]) for name in FIT_DTYPE.names if name != "DETNUM"]
    return np.dtype([("DETNUM", of_detnum), *others])


def empty_fits(detnum: np.ndarray) -> np.ndarray:
    """Rows without a valid fit for the pixels `detnum` (n,): NaN everywhere, STATUS 0, counts 0."""
    rows = np.zeros(len(detnum), fit_dtype(detnum))
    rows["DETNUM"] = detnum
    for name in FIT_DTYPE.names:
        if FIT_DTYPE[name].kind == "f":
            rows[name] = np.nan
    return rows


def is_mended(fits) -> np.ndarray:
    """Pixels (n,) without a block, or with noise in one: not to be fitted as the others are."""
    return (fits["BLOCKS_OUT"] != 0) | (fits["NOISE"] > 0.0)


def has_second_state(rows) -> np.ndarray:
    """Whether some of the counts of pixels are clearly at other gains, (n,) bool."""
    with np.errstate(invalid="ignore"):
        return rows["SECOND_SIGMA"] > SECOND_SIGMA


def is_bent(bend, bend_err) -> np.ndarray:
    """Whether relations with such bends (keV) and errors are clearly not straight; broadcasts."""
    with np.errstate(invalid="ignore"):
        size = np.abs(bend)
        return (size > BEND_SIGMA * np.asarray(bend_err)) & (size > BEND_KEV)


def bins_of_block(low, high):
    """Number of bins of residuals between the limits of a block (keV)."""
    return max(int((high - low) / RESIDUAL_STEP_KEV + 0.5), 1)


def residual_edges(limits_keV: np.ndarray) -> list[np.ndarray]:
    """Edges (keV) of the bins of residuals in each of the blocks, of limits (n_blocks, 2) keV."""
    return [np.linspace(*limits, bins_of_block(*limits) + 1) for limits in limits_keV]


def residual_rows(detnum: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Rows (n,) of the extension RESIDUALS of a chunk.

    Parameters
    ----------
    detnum : (n,) int
    residuals : (n, n_bins, 3) float
        As from `fit.checks.residuals`; NaN where there is no valid fit: no counts then.
    """
    n_bins = residuals.shape[1]
    types = [("COUNTS", "i4"), ("EXPECTED", "f4"), ("VARIANCE", "f4")]
    rows = np.zeros(len(detnum), [("DETNUM", "i4"), *((*pair, (n_bins,)) for pair in types)])
    rows["DETNUM"] = detnum
    for k, (name, _) in enumerate(types):
        rows[name] = np.nan_to_num(residuals[:, :, k]) if name == "COUNTS" else residuals[:, :, k]
    return rows


def channel_rows(detnum: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Rows (n,) of the extension RESIDUALS_CHANNELS of a chunk.

    Parameters
    ----------
    detnum : (n,) int
    expected : (n, n_channels) float
        0 outside of the blocks, NaN where there are no residuals.
    """
    rows = np.zeros(len(detnum), [("DETNUM", "i4"), ("EXPECTED", "f4", (expected.shape[1],))])
    rows["DETNUM"], rows["EXPECTED"] = detnum, expected
    return rows
