"""Charges by SimSiPM (the package `sipm`, whose module is `SiPM`), an independent simulator.

Every avalanche has its cell: crosstalk hits one of the eight neighbours, which gives nothing where
it has just fired. Afterpulses and delayed crosstalk have full crosstalk, whatever the recovery.
Version 2.1 lets a cell recover since its first avalanche in the signal, later ones since its last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW_NS, FLASH_NS, LENGTH_NS = 100, 350, 600
"""The simulator has no dark counts before time 0, and puts all that follows before the end. With
150 and 260 ns the spectra showed it beside all kinds of noise."""
PULSE_NS = 30.0
PE, SIGMA_PED = 30.0, 2.4
"""Charge of a photoelectron that is asked for, and noise of the electronics."""
SIZE_MM, PITCH_UM, GAIN_SPREAD, SIGNAL_TO_NOISE_DB = 3.0, 50.0, 0.04, 60.0


@dataclass(frozen=True)
class Settings:
    """Dark counts per second; afterpulses, crosstalk per avalanche; part of it that is delayed."""

    dark_hz: float = 0.0
    afterpulses: float = 0.0
    crosstalk: float = 0.0
    delayed_part: float = 0.0


def sensor(settings: Settings):
    """A sensor of SimSiPM. Its draws cannot be repeated: seeding `rng()`, a copy, is no use."""
    import SiPM  # noqa: PLC0415  (only where it is used: a package of the tests)

    of = SiPM.SiPMProperties()
    of.setSize(SIZE_MM)
    of.setPitch(PITCH_UM)
    of.setSampling(1.0)
    of.setSignalLength(float(LENGTH_NS))
    of.setRiseTime(1.0)
    of.setFallTimeFast(PULSE_NS)
    of.setRecoveryTime(PULSE_NS)
    of.setCcgv(GAIN_SPREAD)
    of.setSnr(SIGNAL_TO_NOISE_DB)
    of.setPdeType(SiPM.SiPMProperties.PdeType.kNoPde)
    # Its switch for delayed crosstalk switches all crosstalk off.
    switches = (
        (settings.dark_hz, of.setDcrOn, of.setDcr, of.setDcrOff),
        (settings.afterpulses, of.setApOn, of.setAp, of.setApOff),
        (settings.crosstalk, of.setXtOn, of.setXt, of.setXtOff),
    )
    for value, on, put, off in switches:
        if value:
            on()
            put(value)
        else:
            off()
    if settings.crosstalk:
        of.setDXtOn()
        of.setDXt(max(settings.delayed_part, 1e-9))
    return SiPM.SiPMSensor(of)


def charge(of, photons: int) -> float:
    """The charge in the window of one flash; NaN of the simulator's noise is drawn again."""
    while True:
        of.resetState()
        of.addPhotons([float(FLASH_NS)] * photons)
        of.runEvent()
        found = np.asarray(of.signal().waveform())[FLASH_NS : FLASH_NS + WINDOW_NS].sum()
        if np.isfinite(found):
            return float(found)


def scale_of_pe(n: int = 4000) -> float:
    """What a charge of the simulator is to be multiplied with for a photoelectron of `PE`."""
    plain = sensor(Settings())
    return PE / float(np.mean([charge(plain, 1) for _ in range(n)]))


def draw_pixels(settings: Settings, n_pixels: int, flashes: int, light, seed: int):
    """Whole charges (flashes,) of each run of each pixel; `seed` is of the light and pedestals."""
    rng, of, scale = np.random.default_rng(seed), sensor(settings), scale_of_pe()
    pixels = []
    for _ in range(n_pixels):
        runs = []
        for mean in light:
            found = np.array([charge(of, int(k)) for k in rng.poisson(mean, flashes)])
            noise = SIGMA_PED * rng.standard_normal(flashes)
            runs.append(np.rint(scale * found + noise).astype(np.int64))
        pixels.append(runs)
    return pixels
