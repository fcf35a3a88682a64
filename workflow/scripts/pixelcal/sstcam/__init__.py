"""SSTCAM: single-photoelectron spectra and charge resolution."""
