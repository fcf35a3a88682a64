"""Single-photoelectron fits on charges of SimSiPM, an independent simulator of SiPM pulses.

python benchmarks/simsipm.py [--pixels 200] [--flashes 31667]

Pulses of 30 ns in a window of 100 ns, a pedestal of 0.08 photoelectrons, three runs. Each camera
has two lines: every pixel by itself, then with what all have in common: noise, and the number of
neighbours that crosstalk can fire, which a pixel by itself does not tell. Crosstalk is compared
with what the simulator was given.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "workflow" / "scripts"))

from simsipm_charges import PE, Settings, draw_pixels

from pixelcal.charge.simulation.charges import as_spectra
from pixelcal.charge.spe.fit import SpeOptions, fit_pixels
from pixelcal.charge.spe.noise.learn import describe, learn_camera_noise

CAMERAS = {
    "crosstalk .15": Settings(crosstalk=0.15),
    "dark counts 2 MHz": Settings(dark_hz=2e6),
    "afterpulses .10": Settings(afterpulses=0.10),
    "delayed 15 % of .15": Settings(crosstalk=0.15, delayed_part=0.15),
    "all of these": Settings(2e6, 0.10, 0.15, 0.15),
    "afterpulses .05": Settings(afterpulses=0.05, crosstalk=0.15),
}
LIGHT = (0.6, 1.2, 2.4)


def line(name, fits, settings, seconds):
    """One row of the table."""
    good = fits["STATUS"] == 0
    pe, error, common = (fits[column][good] for column in ("PE", "PE_ERR", "PE_SYS"))
    if not good.any():
        print(f"{name:28s}    0/{len(fits)}", flush=True)
        return
    bias, pulls = 100 * (pe.mean() / PE - 1), np.std((pe - pe.mean()) / error)
    text = f"{name:28s} {good.sum():4d}/{len(fits)}  {bias:7.3f}  {100 * common.mean() / PE:6.3f}"
    text += f"  {pulls:5.2f}"
    if settings.crosstalk:  # without any, OPCT is at its limit, and pulls say nothing
        opct, spread, shared = (fits[name][good] for name in ("OPCT", "OPCT_ERR", "OPCT_SYS"))
        total, of_total = fits["CROSSTALK"][good], fits["CROSSTALK_SYS"][good]
        prompt = settings.crosstalk * (1 - settings.delayed_part)
        width = np.std((opct - opct.mean()) / spread)
        text += f"  {opct.mean():.4f}  {100 * (opct.mean() / prompt - 1):6.1f}"
        text += f"  {100 * (total.mean() / settings.crosstalk - 1):6.1f}  {width:5.2f}"
        common = 100 * of_total.mean() / settings.crosstalk
        text += f"  {100 * shared.mean() / prompt:5.1f}  {common:5.1f}"
    print(f"{text}  {1e3 * seconds / len(fits):6.1f}", flush=True)


def main() -> None:
    """A table of all cameras."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=200)
    parser.add_argument("--flashes", type=int, default=31_667)
    parser.add_argument("--only", help="a part of the name of a camera")
    given = parser.parse_args()
    chance = 1 / np.sqrt(2 * given.pixels)
    print(f"{given.pixels} pixels, 3 x {given.flashes} flashes; widths of pulls +- {chance:.3f}\n")
    print(f"{'':28s} {'good':>8s}  bias pe (%)  common (%)  pulls  OPCT  of set (%)"
          "  CROSSTALK, of set (%)  pulls  common to OPCT, CROSSTALK (%)  ms/pixel")  # fmt: skip
    for number, (name, settings) in enumerate(CAMERAS.items()):
        if given.only and given.only not in name:
            continue
        spectra = as_spectra(
            draw_pixels(settings, given.pixels, given.flashes, LIGHT, 100 + number)
        )
        pixel = np.arange(given.pixels)
        begin = time.process_time()
        alone = fit_pixels(*spectra, pixel, SpeOptions())
        first = time.process_time() - begin
        line(name, alone, settings, first)
        begin = time.process_time()
        learnt = learn_camera_noise(*spectra, SpeOptions())
        if learnt.camera is not None:
            learning = time.process_time() - begin
            begin = time.process_time()
            fits = fit_pixels(*spectra, pixel, SpeOptions(), camera=learnt.camera)
            line("  with that of the camera", fits, settings, time.process_time() - begin)
            print(f"  {describe(learnt)}; learnt in {learning:.1f} s", flush=True)
        of = learnt.adequacy
        print(f"  residuals: chi-square {of.chi_square:.0f} for {of.dof}", flush=True)


if __name__ == "__main__":
    main()
