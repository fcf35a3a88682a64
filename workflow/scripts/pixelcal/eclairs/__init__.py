"""ECLAIRs (SVOM): gain and offset of 6400 CdTe pixels from fluorescence lines."""
