rule take_spectra:
    """
    What: ready spectra of the wanted pixels, counted by other software, in the form that the
        other rules read.
    Physics: counts as they are; channels that the camera assigned, so there is no truth, and
        no halves of the exposure to compare.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(event_inputs),
        **optional(prior=config["relation"]["file"]),
        lines=given_line_table,
        pixel_map=PIXEL_MAP,
    output:
        truth=f"{FOLDER}/{{exposure}}/truth.ecsv",  # NaN
        prior=f"{FOLDER}/{{exposure}}/prior.ecsv",
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
    log:
        f"{RESULTS}/logs/take_spectra/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/take_spectra/{{exposure}}.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/response.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 600 * attempt,
        runtime=10,
    params:
        layout=config["events"]["layout"],
        pixels=PIXELS,
        relation=prior_relation(),
        exposure="{exposure}",
        files=event_files,
        contents=event_contents,
        date=config["date"],
        instrument=INSTRUMENT,
        library=library_chain("energy/take_spectra"),
    script:
        "../../scripts/energy/take_spectra.py"
