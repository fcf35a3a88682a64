rule validate_relation:
    """
    What: how far to trust the relation: bias, scatter, pulls, coverage and pass fraction at the
        reference energies, and the counts of every STATUS bit; whether the model describes the
        spectra, and which lines would explain what it does not.
    Physics: the signed error of the energy against the injected relation; without truth, what the
        errors of the fit predict. Residuals of all pixels by energy, against chance.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(response_input),
        **truth_of(f"{FOLDER}/{{exposure}}"),
        **prior_input(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
        lines=line_table,
        catalogue=CATALOGUE,
    output:
        validation=f"{FOLDER}/{{exposure}}/validation.json",
    log:
        f"{RESULTS}/logs/validate_relation/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_relation/{{exposure}}.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/relation.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 600 * attempt,
        runtime=10,
    params:
        relation=prior_relation(),
        exposure="{exposure}",
        contents=contents(CATALOGUE),
        instrument=INSTRUMENT,
        library=library("energy/validate_relation"),
    script:
        "../../scripts/energy/validate_relation.py"


rule predict_observing_time:
    """
    What: how long to observe: errors and pass fractions that one exposure predicts for exposures
        from 1 ks to 1 Ms, and the shortest at which 95, 99 and 99.9 % of the pixels pass.
    Physics: Fisher information of the learnt response with each pixel's counts and resolution;
        method `two-step`, the covariances of its fits scaled with one over the exposure.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(response_input),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
        lines=line_table,
    output:
        prediction=f"{FOLDER}/{{exposure}}/observing_time.json",
    log:
        f"{RESULTS}/logs/predict_observing_time/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict_observing_time/{{exposure}}.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/observing.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 600 * attempt,
        runtime=10,
    params:
        min_counts=lookup(dpath="{exposure}/fit/min_counts", within=EXPOSURES),
        exposure="{exposure}",
        instrument=INSTRUMENT,
        library=library("energy/predict_observing_time"),
    script:
        "../../scripts/energy/predict_observing_time.py"
