"""Single-photoelectron fits: against spefit on the same charges, against truth, in all troubles.

python benchmarks/spe.py [--pixels 200] [--accuracy 2000] [--troubles 2000]

Charges are drawn avalanche by avalanche. Times are CPU time of one core, compilation apart. spefit
runs in an environment of its own (`make .venv-spefit/spefit.stamp`, which `make bench` does); where
that is missing, its line says so.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from pixelcal.charge.simulation.charges import Sipm, as_spectra, draw_charges, draw_spectra
from pixelcal.charge.simulation.troubles import TROUBLES
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.validation import validate
from pixelcal.status import has_valid_fit

REFERENCE_PYTHON = PROJECT / ".venv-spefit" / "bin" / "python"
STARTS = {
    "pe guess x 1/3": (dict(), 1 / 3),
    "pe guess x 3": (dict(), 3.0),
    "lambda / 2": (dict(light=(0.3, 0.6, 1.2)), 1.0),
    "lambda x 2": (dict(light=(1.2, 2.4, 4.8)), 1.0),
    "crosstalk 0.5": (dict(opct=0.5), 1.0),
    "crosstalk 0.5, guess x 1/3": (dict(opct=0.5), 1 / 3),
}


def fit(spectra, options=None):
    """Fits of the spectra of n pixels, and CPU seconds."""
    counts, start, width = spectra
    begin = time.process_time()
    fits = fit_pixels(counts, start, width, np.arange(len(counts)), options or SpeOptions())
    return fits, time.process_time() - begin


def compare_with_spefit(n_pixels):
    """CPU time of both on the same charges, and what they find."""
    rng = np.random.default_rng(1)
    charges = [draw_charges(rng, Sipm()) for _ in range(n_pixels)]
    fits, seconds = fit(as_spectra(charges))
    ours = 1e3 * seconds / n_pixels
    print(f"{n_pixels} pixels, 3 runs x 10 000 flashes, one core\n")
    print(f"{'':10s} ms/pixel  ratio   bias of pe  sigma_ped   opct (%)")
    truth = {"PE": 30.0, "SIGMA_PED": 6.0, "OPCT": 0.15}
    bias = [100 * (fits[name].mean() / true - 1) for name, true in truth.items()]
    print(f"pixelcal   {ours:8.2f}  {1.0:5.1f}  {bias[0]:11.3f} {bias[1]:10.3f} {bias[2]:10.3f}")
    if not REFERENCE_PYTHON.exists():
        print("spefit: not installed; `make .venv-spefit/spefit.stamp` installs it")
        return
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "charges.npz"), Path(folder, "found.npz")
        np.savez(given, charges=np.array(charges))
        script = PROJECT / "benchmarks" / "spefit_reference.py"
        # spefit takes the order of its parameters from a set.
        environment = os.environ | {"PYTHONHASHSEED": "0", "NUMBA_NUM_THREADS": "1"}
        subprocess.run([REFERENCE_PYTHON, script, given, found], check=True, env=environment)
        theirs = dict(np.load(found))
    names = {"pe": 30.0, "eped_sigma": 6.0, "opct": 0.15}
    bias = [100 * (theirs[name].mean() / true - 1) for name, true in names.items()]
    cost = 1e3 * float(theirs["seconds"]) / n_pixels
    print(
        f"spefit     {cost:8.2f}  {cost / ours:5.1f}  {bias[0]:11.3f} {bias[1]:10.3f}"
        f" {bias[2]:10.3f}"
    )


def show_accuracy(n_pixels):
    """Bias, rms over the bound and pulls at 3 x 50 000 flashes."""
    rng = np.random.default_rng(2)
    pixel = Sipm(flashes=50_000, eped=4500.0)
    parts = [fit(draw_spectra(rng, [pixel] * 100))[0] for _ in range(n_pixels // 100)]
    fits = np.concatenate(parts)
    n = len(fits)
    truth = {name: np.full(n, getattr(pixel, name.lower())) for name in
             ("SIGMA_PED", "PE", "SIGMA_PE", "OPCT")}  # fmt: skip
    truth |= {"EPED": np.full((n, 3), pixel.eped), "LAMBDA": np.tile(pixel.light, (n, 1))}
    numbers = validate(fits, truth)
    print(f"\n{n} pixels, 3 runs x 50 000 flashes; {numbers['n_good']} good\n")
    print(f"{'':10s}  bias (%)   +-      rms/bound  pull mean  width  68 % interval")
    for name, own in numbers["quantities"].items():
        relative, error = 100 * own["relative_bias"], 100 * own["relative_bias_err"]
        print(
            f"{name:10s} {relative:9.4f} {error:8.4f}  {own['rms_over_bound']:9.3f}"
            f"  {own['pull_mean']:9.3f}  {own['pull_std']:5.3f}  {100 * own['coverage_68']:6.1f} %"
        )


def show_starts(n_pixels):
    """Share of pixels recovered: an answer within five errors and 5 % of the truth."""
    print(f"\nStarts, {n_pixels} pixels each, 3 runs x 10 000 flashes\n")
    for name, (changes, guess) in STARTS.items():
        rng = np.random.default_rng(3)
        pixel = Sipm(**changes)
        fits, _ = fit(draw_spectra(rng, [pixel] * n_pixels), SpeOptions(pe_guess=30.0 * guess))
        near = np.abs(fits["PE"] - pixel.pe) < np.minimum(5 * fits["PE_ERR"], 0.05 * pixel.pe)
        print(f"{name:28s} recovered {100 * near.mean():7.2f} %")


def show_troubles(n_pixels):
    """Pixels wrong by more than 5 % in pe, and those of them that are called good."""
    each = math.ceil(n_pixels / len(TROUBLES))
    print(f"\nTroubles, {each} pixels each\n")
    print(f"{'':26s} answers  good  wrong  wrong and good  ms/pixel")
    total = 0
    for name, changes in TROUBLES.items():
        rng = np.random.default_rng(4)
        pixels = [Sipm(**changes).changed(eped=rng.uniform(4000, 5000)) for _ in range(each)]
        fits, seconds = fit(draw_spectra(rng, pixels))
        answered = has_valid_fit(fits["STATUS"])
        good = fits["STATUS"] == 0
        wrong = answered & ~(np.abs(fits["PE"] / pixels[0].pe - 1) <= 0.05)
        total += int((wrong & good).sum())
        print(
            f"{name:26s} {answered.sum():7d} {good.sum():5d} {wrong.sum():6d}"
            f" {(wrong & good).sum():15d} {1e3 * seconds / each:9.1f}",
            flush=True,
        )
    print(f"wrong and called good: {total} of {each * len(TROUBLES)}")


def main() -> None:
    """All four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=200, help="beside spefit")
    parser.add_argument("--accuracy", type=int, default=2000, help="at 3 x 50 000 flashes")
    parser.add_argument("--starts", type=int, default=1000, help="of each wrong start")
    parser.add_argument("--troubles", type=int, default=2000, help="over all troubles")
    given = parser.parse_args()
    fit(draw_spectra(np.random.default_rng(0), [Sipm(flashes=1000)] * 2))
    compare_with_spefit(given.pixels)
    show_accuracy(given.accuracy)
    show_starts(given.starts)
    show_troubles(given.troubles)


if __name__ == "__main__":
    main()
