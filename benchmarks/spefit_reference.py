"""spefit on the charges of benchmarks/spe.py; run by it, in the environment of requirements/spefit.

python benchmarks/spefit_reference.py CHARGES.npz RESULT.npz

CHARGES: `charges` (n_pixels, n_runs, n_flashes). RESULT: `seconds`, and a column of each parameter.
"""

import sys
import time

import numpy as np
from spefit.cost import BinnedNLL
from spefit.dataset import Dataset
from spefit.fitter import minimize_with_iminuit
from spefit.pdf import SiPMModifiedPoisson
from spefit.pdf.base import PDFMulti, PDFParameter

N_BINS, RANGE = 200, (-40.0, 360.0)
PE_GUESS = 30.0


def make_model(n_runs: int) -> PDFMulti:
    """The model with the predecessor's starts and limits, 30 % around its guess of pe."""
    one = SiPMModifiedPoisson(
        eped=PDFParameter(name="eped", initial=0, limits=(-10, 10)),
        eped_sigma=PDFParameter(name="eped_sigma", initial=7, limits=(0.1, 20)),
        pe=PDFParameter(name="pe", initial=PE_GUESS, limits=(0.7 * PE_GUESS, 1.3 * PE_GUESS)),
        pe_sigma=PDFParameter(name="pe_sigma", initial=4, limits=(0.1, 20)),
        opct=PDFParameter(name="opct", initial=0.2, limits=(0, 0.5)),
        lambda_=PDFParameter(name="lambda_", initial=1.0, limits=(0.01, 6)),
    )
    return PDFMulti(one, n_multi=n_runs, unshared_parameters=["eped", "lambda_"])


def fit(charges: np.ndarray) -> dict:
    """Fit one pixel, charges (n_runs, n_flashes)."""
    datasets = [Dataset(own, n_bins=N_BINS, range_=RANGE) for own in charges]
    values, _ = minimize_with_iminuit(BinnedNLL(make_model(len(charges)), datasets))
    return values


def main() -> None:
    """Time the fits of all pixels; the first one compiles and does not count."""
    charges = np.load(sys.argv[1])["charges"].astype(float)
    fit(charges[0])
    begin = time.process_time()
    found = [fit(own) for own in charges]
    seconds = time.process_time() - begin
    columns = {name: np.array([own[name] for own in found]) for name in found[0]}
    np.savez(sys.argv[2], seconds=seconds, **columns)


if __name__ == "__main__":
    main()
