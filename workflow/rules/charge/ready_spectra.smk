rule take_spe_spectra:
    """
    What: ready histograms of the runs of low illumination, counted by other software, in the form
        that the other rules read. In place of all rules before the fits.
    Physics: counts as they are; there are no flashes in which pixels could be compared, so the lamp
        is not checked.
    Wildcards: none.
    """
    input:
        **optional(bad_pixels=SSTCAM["bad_pixels"]),
        runs=histogram_files,
    output:
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
    log:
        f"{RESULTS}/logs/take_spe_spectra/spectra.log",
    benchmark:
        f"{RESULTS}/benchmarks/take_spe_spectra/spectra.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        pixels=SSTCAM_PIXELS,
        runs=lambda wildcards: run_names("spe"),
        light=lambda wildcards: [ordered(run.light) for run in RUNS["spe"]],
        contents=lambda wildcards: run_contents(*named_runs("spe")) + contents(SSTCAM["bad_pixels"]),
        date=config["date"],
        library=library_chain(spectra_scripts),
    script:
        "../../scripts/charge/take_spe_spectra.py"
