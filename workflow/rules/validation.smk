rule validate_relation:
    """
    What: how far to trust the relation: bias, scatter, pulls, coverage and pass fraction at the
        reference energies, and the counts of every STATUS bit.
    Physics: the signed error of the energy against the injected relation; without truth, what the
        errors of the fit predict.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **truth_of("results/eclairs/{exposure}"),
        **prior_input(),
        relation="results/eclairs/{exposure}/relation.fits",
    output:
        validation="results/eclairs/{exposure}/validation.json",
    log:
        "results/logs/validate_relation/{exposure}.log",
    benchmark:
        "results/benchmarks/validate_relation/{exposure}.tsv"
    conda:
        "../../envs/relation.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        relation=prior_relation(),
        exposure="{exposure}",
        library=library("validate_relation"),
    script:
        "../scripts/validate_relation.py"
