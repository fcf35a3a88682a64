"""Runs of digicamtoy, another group's simulator of a SiPM camera, as charges."""

import h5py

from helpers.real_files import real_file

NAME = "digicamtoy/events_digicamtoy_nsb_{}_pe_{}.hdf5"
FIRST, LAST = 6, 12
"""Samples of the window."""
GAIN, OPCT = 19.417, 0.08
"""Charge of an avalanche in the window without night sky, and crosstalk, as put in."""


def digicamtoy(nsb, pe):
    """Charges (1, n_flashes) of all pixels as one, as all are alike; true avalanches (n_flashes,).

    `nsb` in MHz, `pe` photoelectrons per flash.
    """
    with h5py.File(real_file(NAME.format(nsb, pe))) as file:
        samples = file["data/adc_count"][..., FIRST:LAST].astype(int)
        return samples.sum(axis=2).reshape(1, -1), file["data/charge"][..., 0].ravel()
