"""pixelcal: from the raw data of a photon camera to a calibration of every pixel.

The library knows arrays and files; it has never heard of Snakemake.
"""

__version__ = "0.1.0"
