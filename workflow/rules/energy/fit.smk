rule fit_lines:
    """
    What: gain and offset of the pixels of one chunk, with their covariance and the reason where
        there is no valid fit.
    Physics: method `joint`, one Poisson likelihood over all blocks of lines, channel by channel;
        method `two-step`, line positions by least squares, then a straight line through them.
    Wildcards: exposure, a name under `exposures` in the configuration; chunk, the counter of a run
        of `fit.chunk_pixels` pixels.
    """
    input:
        unpack(response_input),
        **prior_input(),
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
        lines=line_table,
    output:
        fits=f"{FOLDER}/{{exposure}}/chunks/{{chunk}}.fits",
    log:
        f"{RESULTS}/logs/fit_lines/{{exposure}}/{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_lines/{{exposure}}/{{chunk}}.tsv"
    conda:
        "../../../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=60,
    params:
        relation=prior_relation(),
        fit=fit_settings,
        chunk="{chunk}",
        exposure="{exposure}",
        contents=fit_contents,
        date=config["date"],
        instrument=INSTRUMENT,
        library=library("energy/fit_lines"),
    script:
        "../../scripts/energy/fit_lines.py"
