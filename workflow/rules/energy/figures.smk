rule plot_relation:
    """
    What: the figures of one relation as PNG and PDF: the camera, the prior relation, fitted against
        prior and true values, fit statistics, uncertainty and difference of energies with pass
        fractions, histograms of differences, significant changes.
    Physics: none but what `relation.fits` says; sigma(E) from the full covariance, changes against
        the sigma-clipped spread of the camera.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **truth_of(f"{FOLDER}/{{exposure}}"),
        **prior_input(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
        pixel_map=PIXEL_MAP,
    output:
        **reported_figures(RELATION_FIGURES),
    log:
        f"{RESULTS}/logs/plot_relation/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_relation/{{exposure}}.tsv"
    conda:
        "../../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        exposure="{exposure}",
        method=lookup(dpath="{exposure}/fit/method", within=EXPOSURES),
        relation=prior_relation(),
        changes=leaves(config["changes"], "threshold_sigma"),
        instrument=INSTRUMENT,
        library=library("energy/plot_relation"),
    script:
        "../../scripts/energy/plot_relation.py"


rule plot_spectrum:
    """
    What: the spectrum of the whole camera with the lines named, that of one typical pixel with its
        fit, and the simulated spectrum without energy redistribution, as PNG and PDF.
    Physics: counts of all pixels on one energy axis by their fitted relations; model and continuum
        of the blocks as the fit left them.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(response_input),
        **prior_input(),
        **undistributed_input(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
        lines=line_table,
    output:
        **reported_figures(SPECTRUM_FIGURES),
    log:
        f"{RESULTS}/logs/plot_spectrum/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_spectrum/{{exposure}}.tsv"
    conda:
        "../../../envs/spectrum_figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        exposure="{exposure}",
        relation=prior_relation(),
        fit=model_settings,
        instrument=INSTRUMENT,
        library=library("energy/plot_spectrum"),
    script:
        "../../scripts/energy/plot_spectrum.py"


rule plot_pixel:
    """
    What: one pixel on demand, as PNG and PDF: each block with data, model, continuum and residuals,
        the lines named, and its channel-energy relation. Not part of the default target.
    Physics: normalisations of lines and continuum are fitted again with the relation of the pixel
        held; residuals are signed roots of the Poisson deviance of groups of channels.
    Wildcards: exposure, a name under `exposures` in the configuration; pixel, a DETNUM of 4 digits.
    """
    input:
        unpack(response_input),
        **truth_of(f"{FOLDER}/{{exposure}}"),
        **prior_input(),
        **undistributed_input(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
        lines=line_table,
    output:
        png=report(
            f"{FOLDER}/{{exposure}}/pixels/{{pixel}}.png",
            caption="../../report/pixel.rst",
            category=INSTRUMENT["title"],
            subcategory="pixels on demand",
            labels={"exposure": "{exposure}", "figure": "pixel {pixel}"},
        ),
        pdf=f"{FOLDER}/{{exposure}}/pixels/{{pixel}}.pdf",
    log:
        f"{RESULTS}/logs/plot_pixel/{{exposure}}/{{pixel}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_pixel/{{exposure}}/{{pixel}}.tsv"
    wildcard_constraints:
        pixel=r"\d+",  # other than four digits: `params` says so
    conda:
        "../../../envs/spectrum_figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        exposure="{exposure}",
        pixel=lambda wildcards: (
            chosen_pixel(wildcards)
            if wildcards.pixel == f"{int(wildcards.pixel):04d}"
            else sys.exit(
                f"pixel {wildcards.pixel}: pictures of pixels have names of four digits; ask for"
                f" {int(wildcards.pixel):04d}"
            )
        ),
        relation=prior_relation(),
        fit=model_settings,
        instrument=INSTRUMENT,
        library=library("energy/plot_pixel"),
    script:
        "../../scripts/energy/plot_pixel.py"


rule write_lists:
    """
    What: text lists of the pixels that changed significantly against the prior relation, that
        exceed the requirement, and that have no valid fit, with the reason.
    Physics: changes against the sigma-clipped spread of the camera; the measured error of the
        energy, or without truth the predicted one.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        **truth_of(f"{FOLDER}/{{exposure}}"),
        **prior_input(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
    output:
        changed=f"{FOLDER}/{{exposure}}/lists/changed.txt",
        over_requirement=f"{FOLDER}/{{exposure}}/lists/over_requirement.txt",
        no_answer=f"{FOLDER}/{{exposure}}/lists/no_answer.txt",
    log:
        f"{RESULTS}/logs/write_lists/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_lists/{{exposure}}.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/relation.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        exposure="{exposure}",
        relation=prior_relation(),
        changes=leaves(config["changes"], "threshold_sigma"),
        instrument=INSTRUMENT,
        library=library("energy/write_lists"),
    script:
        "../../scripts/energy/write_lists.py"
