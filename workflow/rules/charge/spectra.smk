rule fill_spe_spectra:
    """
    What: the spectrum of each pixel in each run of low illumination: flashes by charge.
    Physics: bins a whole number of charge steps wide and aligned with them, so that none holds more
        of the possible charges than the next.
    Wildcards: none.
    """
    input:
        charges=lambda wildcards: charge_files("spe"),
    output:
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
    log:
        f"{RESULTS}/logs/fill_spe_spectra/spectra.log",
    benchmark:
        f"{RESULTS}/benchmarks/fill_spe_spectra/spectra.tsv"
    conda:
        "../../../envs/sstcam_spe.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    params:
        runs=lambda wildcards: run_names("spe"),
        date=config["date"],
        library=library_chain(spectra_scripts),
    script:
        "../../scripts/charge/fill_spe_spectra.py"
