"""The parameters of the single-photoelectron spectrum of a pixel: how many, and in which order.

Variance of the pedestal, pe, variance of one photoelectron and opct, which all runs share; then the
pedestal and the mean number of photoelectrons of each run (`spe.model`).
"""

N_SHARED, N_PER_RUN = 4, 2
"""Parameters that all runs of a pixel share, and those of each run."""

N_PARAMETERS = N_SHARED + N_PER_RUN
V_PED, PE, V_PE, OPCT, EPED, LAMBDA = range(N_PARAMETERS)
