"""Words for the STATUS of a pixel of the SSTCAM, and for what is fitted: report and figures."""

from __future__ import annotations

PARAMETERS = {
    "PE": "Gain (pe)",
    "SIGMA_PED": "Width of the pedestal",
    "SIGMA_PE": "Width of a photoelectron",
    "OPCT": "Optical crosstalk",
    "EPED": "Pedestal",
    "LAMBDA": "Illumination λ",
}
