rule learn_response:
    """
    What: the line profile and the shape of the continuum, learnt from all pixels together, and the
        line table that they were learnt with: the configured one, where asked with the lines that
        the spectra show beside. Only for the method `joint` where no `fit.response` is given.
    Physics: resolution and hole tails against energy, continuum and line ratios of the camera,
        which one pixel has too few counts to tell; how much pixels scatter, how far the typical
        one is from the model, and the systematic uncertainty that follows.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **prior_input(),
        **bad_pixels_input(),
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
        lines=given_line_table,
        catalogue=CATALOGUE,
    output:
        response=f"{FOLDER}/{{exposure}}/response.fits",
        lines=f"{FOLDER}/{{exposure}}/lines.csv",
    log:
        f"{RESULTS}/logs/learn_response/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/learn_response/{{exposure}}.tsv"
    conda:
        "../../../envs/response.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1400 * attempt,
        runtime=30,
    params:
        relation=prior_relation(),
        fit=response_settings,
        exposure="{exposure}",
        contents=response_contents,
        date=config["date"],
        instrument=INSTRUMENT,
        library=library("energy/learn_response"),
    script:
        "../../scripts/energy/learn_response.py"
