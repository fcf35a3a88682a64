rule report:
    """
    What: one self-contained page about all exposures, of epochs the latest four: verdict, camera
        maps, errors against energy, the learnt response, the pixels in question with their fits,
        how long to observe, what changed, what was run; and its verdict as JSON.
    Physics: the response against the stacked spectra; otherwise what the products say.
    Wildcards: none.
    """
    input:
        **prior_input(REPORTED[0]),
        relations=per_reported("relation.fits"),
        validations=per_reported("validation.json"),
        predictions=per_reported("observing_time.json"),
        spectra=per_reported("spectra.fits"),
        truths=branch(HAS_TRUTH, then=per_reported("truth.ecsv")),
        responses=response_files(),
        lines=line_tables(),
        pixel_map=PIXEL_MAP,
    output:
        report=report(
            f"{RESULTS}/report.html",
            caption="../../report/report.rst",
            category=INSTRUMENT["title"],
            labels={"exposure": "all", "figure": "report"},
        ),
        summary=f"{RESULTS}/report.json",
    log:
        f"{RESULTS}/logs/report/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/report.tsv"
    conda:
        "../../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        exposures=report_exposures(),
        relation=prior_relation(),
        settings=common_settings(),
        threshold=config["changes"]["threshold_sigma"],
        instrument=INSTRUMENT,
        run=config["run"],
        epochs=branch(EPOCHS, then=[len(EPOCHS[-SHOWN_EPOCHS:]), len(EPOCHS)]),
        camera=configuration.instrument_folder(config),
        library=library("energy/report"),
        templates=templates("energy"),
    script:
        "../../scripts/energy/report.py"
