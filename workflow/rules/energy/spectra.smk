rule bin_spectra:
    """
    What: one spectrum per pixel from the good time between two dates, or its first seconds, and
        the relation that was injected.
    Physics: energies become channels by the prior relation with the injected errors; channels that
        the camera assigned stay as they are, and the truth is NaN.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(event_inputs),
        **prior_input(),
        pixel_map=PIXEL_MAP,
    output:
        truth=f"{FOLDER}/{{exposure}}/truth.ecsv",  # also where there is none: NaN
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
    log:
        f"{RESULTS}/logs/bin_spectra/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/bin_spectra/{{exposure}}.tsv"
    conda:
        "../../../envs/spectra.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    params:
        layout=config["events"]["layout"],
        columns=COLUMNS,
        first_pixel=config["events"]["first_pixel"],
        criteria=config["events"]["gti"]["criteria"],
        multiplicity=lookup(dpath="{exposure}/multiplicity", within=EXPOSURES),
        seconds=lookup(dpath="{exposure}/seconds", within=EXPOSURES),
        start=lookup(dpath="{exposure}/start", within=EXPOSURES),
        stop=lookup(dpath="{exposure}/stop", within=EXPOSURES),
        pixels=PIXELS,
        relation=prior_relation(),
        injection=injection_settings,
        exposure="{exposure}",
        seed=config["events"]["seed"],
        files=event_files,
        contents=event_contents,
        date=config["date"],
        instrument=INSTRUMENT,
        library=library_chain("energy/bin_spectra"),
    script:
        "../../scripts/energy/bin_spectra.py"
