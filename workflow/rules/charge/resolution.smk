rule measure_charge_resolution:
    """
    What: the charge resolution of the dynamic-range scan over the good pixels and over all with a
        valid fit, bias apart from spread, each with its error; the same of each pixel; at which
        charges each requirement is met.
    Physics: charges to photoelectrons by gain, pedestal and crosstalk of each pixel's SPE fit, or
        by a monotone transfer function from calibration runs, which are excluded from the assessment;
        pedestal and gain of each level of night sky, where dark runs or several levels are there; mean
        square distance from the expected charge; errors from the scatter of the flashes.
    Wildcards: none.
    """
    input:
        charges=lambda wildcards: charge_files("scan"),
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
    output:
        resolution=f"{RESULTS}/sstcam/charge_resolution/resolution.fits",
        summary=f"{RESULTS}/sstcam/charge_resolution/charge_resolution.json",
    log:
        f"{RESULTS}/logs/measure_charge_resolution/scan.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_charge_resolution/scan.tsv"
    conda:
        "../../../envs/sstcam_resolution.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    params:
        runs=[{"name": run.name} | ordered(run.light) for run in RUNS["scan"]],
        settings=resolution_settings(),
        date=config["date"],
        library=library_chain(resolution_scripts),
    script:
        "../../scripts/charge/measure_charge_resolution.py"


rule validate_charge_resolution:
    """
    What: the measured charge resolution and bias of each run beside those that the truth predicts.
        Only where flashes are simulated.
    Physics: Poisson light, the variance of a branching process, noise, background by Campbell's
        theorem: closed forms, for a perfect conversion and for that of the SPE fits.
    Wildcards: none.
    """
    input:
        **where_simulated(
            pixels=f"{RESULTS}/sstcam/runs/pixels.ecsv",
            peaks=f"{RESULTS}/sstcam/peaks.fits",
        ),
        resolution=f"{RESULTS}/sstcam/charge_resolution/resolution.fits",
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
    output:
        validation=f"{RESULTS}/sstcam/charge_resolution/validation.json",
    log:
        f"{RESULTS}/logs/validate_charge_resolution/scan.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_charge_resolution/scan.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_resolution.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        light=[
            {
                "name": run.name,
                "pe": run.light["n_ph"] * SSTCAM["simulation"]["pde"],
                "nsb_per_ns": SSTCAM["simulation"]["nsb_per_ns"],
            }
            for run in RUNS["scan"]
        ],
        charges=charge_settings(),
        settings=leaves(SSTCAM["charge_resolution"], "conversion", "convention")
        | {
            "fwhm_ns": SSTCAM["simulation"]["fwhm_ns"],
            "afterpulses": SSTCAM["simulation"]["afterpulses"]["probability"],
        },
        library=library("charge/validate_charge_resolution"),
    script:
        "../../scripts/charge/validate_charge_resolution.py"


rule plot_charge_resolution:
    """
    What: the figures of the charge resolution as PNG and PDF: against the requirement at each
        night-sky background and the Poisson limit, bias and parts of the spread; extracted
        against expected charge.
    Physics: none but what `resolution.fits` says.
    Wildcards: none.
    """
    input:
        resolution=f"{RESULTS}/sstcam/charge_resolution/resolution.fits",
    output:
        charge_resolution_png=report(
            f"{RESULTS}/sstcam/figures/charge_resolution.png",
            caption="../../report/charge_resolution.rst",
            category="SSTCAM",
            labels={"figure": "charge resolution"},
        ),
        charge_resolution_pdf=f"{RESULTS}/sstcam/figures/charge_resolution.pdf",
        extracted_charge_png=report(
            f"{RESULTS}/sstcam/figures/extracted_charge.png",
            caption="../../report/extracted_charge.rst",
            category="SSTCAM",
            labels={"figure": "extracted charge"},
        ),
        extracted_charge_pdf=f"{RESULTS}/sstcam/figures/extracted_charge.pdf",
    log:
        f"{RESULTS}/logs/plot_charge_resolution/scan.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_charge_resolution/scan.tsv"
    conda:
        "../../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        nsb_per_ns=SSTCAM["charge_resolution"]["nsb_per_ns"],
        library=library("charge/plot_charge_resolution"),
    script:
        "../../scripts/charge/plot_charge_resolution.py"
