rule learn_spe_noise:
    """
    What: dark counts, afterpulses and delayed crosstalk that the pixels of the camera have in
        common, and how much pixels differ; nothing where they show none.
    Physics: stacked score tests; one noise for up to 128 pixels by maximum likelihood, each with
        its own gain and light; the scatter of the pixels by their marginal likelihood.
    Wildcards: none.
    """
    input:
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
    output:
        noise=f"{RESULTS}/sstcam/spe/noise.fits",
    log:
        f"{RESULTS}/logs/learn_spe_noise/spe.log",
    benchmark:
        f"{RESULTS}/benchmarks/learn_spe_noise/spe.tsv"
    conda:
        "../../../envs/sstcam_spe.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    params:
        fit=spe_model_settings(),
        date=config["date"],
        library=library_chain(spectra_scripts, "charge/learn_spe_noise"),
    script:
        "../../scripts/charge/learn_spe_noise.py"


rule fit_spe:
    """
    What: gain, pedestals, widths, crosstalk and illuminations of the pixels of one chunk, with their
        covariance and the reason where there is no valid fit.
    Physics: a normal peak for each number of avalanches, whose probability is a generalised Poisson
        law, with the noise of the camera; Poisson likelihood of all runs together, over bins.
    Wildcards: chunk, the counter of a run of `sstcam.fit.chunk_pixels` pixels.
    """
    input:
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
        noise=f"{RESULTS}/sstcam/spe/noise.fits",
    output:
        fits=f"{RESULTS}/sstcam/spe/chunks/{{chunk}}.fits",
    log:
        f"{RESULTS}/logs/fit_spe/{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_spe/{{chunk}}.tsv"
    conda:
        "../../../envs/sstcam_spe.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=30,
    params:
        fit=spe_fit_settings(),
        chunk="{chunk}",
        date=config["date"],
        library=library("charge/fit_spe"),
    script:
        "../../scripts/charge/fit_spe.py"


rule merge_spe:
    """
    What: the fits of all chunks as one table, with the place of each pixel, masked pixels, and
        those that stand out against the camera.
    Physics: robust statistics of gain, widths and crosstalk over the camera.
    Wildcards: none.
    """
    input:
        **optional(bad_pixels=SSTCAM["bad_pixels"]),
        **where_charges(charges=lambda wildcards: charge_files("spe")),
        **where_waveforms(peaks=f"{RESULTS}/sstcam/peaks.fits"),
        chunks=spe_chunk_files,
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
        pixel_map=SSTCAM_MAP,
    output:
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
    log:
        f"{RESULTS}/logs/merge_spe/spe.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_spe/spe.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_spe.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        settings=spe_settings(),
        map_given=SSTCAM["pixel_map"] is not None,
        contents=contents(SSTCAM_MAP, SSTCAM["bad_pixels"]),
        date=config["date"],
        library=library_chain(gain_scripts),
    script:
        "../../scripts/charge/merge_spe.py"


rule validate_spe:
    """
    What: how good the fits are: bias, rms over the information bound, pulls and coverage of each
        quantity, and how many wrong pixels are called good. For real runs what the fits predict.
    Physics: recovered against simulated; the covariance of a fit is its information bound.
    Wildcards: none.
    """
    input:
        **where_simulated(truth=f"{RESULTS}/sstcam/runs/truth.ecsv"),
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
    output:
        validation=f"{RESULTS}/sstcam/spe/validation.json",
    log:
        f"{RESULTS}/logs/validate_spe/validation.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_spe/validation.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_spe.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        library=library("charge/validate_spe"),
    script:
        "../../scripts/charge/validate_spe.py"
