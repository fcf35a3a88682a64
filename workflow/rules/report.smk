rule plot_camera:
    """
    What: the camera seen from above: gain, offset, error of the energy and STATUS of each pixel.
    Physics: none; a picture of `relation.fits`.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **truth_of("results/eclairs/{exposure}"),
        relation="results/eclairs/{exposure}/relation.fits",
        pixel_map=PIXEL_MAP,
    output:
        figure=report(
            "results/eclairs/{exposure}/figures/camera.png",
            caption="../report/camera.rst",
            category="ECLAIRs",
            labels={"exposure": "{exposure}", "figure": "camera"},
        ),
    log:
        "results/logs/plot_camera/{exposure}.log",
    benchmark:
        "results/benchmarks/plot_camera/{exposure}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        exposure="{exposure}",
        library=library("plot_camera"),
    script:
        "../scripts/plot_camera.py"


rule plot_energy_errors:
    """
    What: the error of the energy against energy, over the pixels, with the requirement.
    Physics: the signed error against the injected relation; without truth, the predicted sigma.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **truth_of("results/eclairs/{exposure}"),
        relation="results/eclairs/{exposure}/relation.fits",
    output:
        figure=report(
            "results/eclairs/{exposure}/figures/energy_errors.png",
            caption="../report/energy_errors.rst",
            category="ECLAIRs",
            labels={"exposure": "{exposure}", "figure": "energy errors"},
        ),
    log:
        "results/logs/plot_energy_errors/{exposure}.log",
    benchmark:
        "results/benchmarks/plot_energy_errors/{exposure}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        exposure="{exposure}",
        library=library("plot_energy_errors"),
    script:
        "../scripts/plot_energy_errors.py"


rule report:
    """
    What: one self-contained page: tables and camera maps of every exposure, and the pass fraction
        against exposure time.
    Physics: none; what `relation.fits` and `validation.json` say.
    Wildcards: none.
    """
    input:
        relations=per_exposure("relation.fits"),
        validations=per_exposure("validation.json"),
        truths=per_exposure("truth.ecsv") if HAS_TRUTH else [],
    output:
        report=report(
            "results/report.html",
            caption="../report/report.rst",
            category="ECLAIRs",
            labels={"exposure": "all", "figure": "report"},
        ),
    log:
        "results/logs/report/report.log",
    benchmark:
        "results/benchmarks/report/report.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        exposures=report_exposures(),
        settings=common_settings(),
        library=library("report"),
        template=template("report.html.j2"),
    script:
        "../scripts/report.py"
