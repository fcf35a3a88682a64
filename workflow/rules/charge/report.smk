rule plot_spe:
    """
    What: the figures of the single-photoelectron fits as PNG and PDF: the camera, the parameters
        over the pixels, the spectra of one typical pixel with its fit.
    Physics: none but what `spe.fits` says; the model of the fit, integrated over bins.
    Wildcards: none.
    """
    input:
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
        pixel_map=SSTCAM_MAP,
    output:
        spe_camera_png=report(
            f"{RESULTS}/sstcam/figures/spe_camera.png",
            caption="../../report/spe_camera.rst",
            category="SSTCAM",
            labels={"figure": "camera"},
        ),
        spe_camera_pdf=f"{RESULTS}/sstcam/figures/spe_camera.pdf",
        spe_parameters_png=report(
            f"{RESULTS}/sstcam/figures/spe_parameters.png",
            caption="../../report/spe_parameters.rst",
            category="SSTCAM",
            labels={"figure": "parameters"},
        ),
        spe_parameters_pdf=f"{RESULTS}/sstcam/figures/spe_parameters.pdf",
        spe_spectrum_png=report(
            f"{RESULTS}/sstcam/figures/spe_spectrum.png",
            caption="../../report/spe_spectrum.rst",
            category="SSTCAM",
            labels={"figure": "a typical pixel"},
        ),
        spe_spectrum_pdf=f"{RESULTS}/sstcam/figures/spe_spectrum.pdf",
    log:
        f"{RESULTS}/logs/plot_spe/spe.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_spe/spe.tsv"
    conda:
        "../../../envs/sstcam_figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        library=library("charge/plot_spe"),
    script:
        "../../scripts/charge/plot_spe.py"


rule plot_charges:
    """
    What: the charges of all pixels in each run of low illumination, before any fit, as PNG and PDF:
        how large is a photoelectron, does the window hold the pulse?
    Physics: charges above the highest peak of the pixel's darkest run.
    Wildcards: none.
    """
    input:
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
    output:
        png=report(
            f"{RESULTS}/sstcam/figures/charges.png",
            caption="../../report/charges.rst",
            category="SSTCAM",
            labels={"figure": "charges"},
        ),
        pdf=f"{RESULTS}/sstcam/figures/charges.pdf",
    log:
        f"{RESULTS}/logs/plot_charges/charges.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_charges/charges.tsv"
    conda:
        "../../../envs/sstcam_figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        library=library("charge/plot_charges"),
    script:
        "../../scripts/charge/plot_charges.py"


rule plot_spe_pixel:
    """
    What: one pixel on demand, as PNG and PDF: its spectra in all runs with model, peaks and
        residuals. Not part of any target.
    Physics: the model of the fit, integrated over bins; residuals are signed roots of the Poisson
        deviance.
    Wildcards: pixel, a PIXEL of 4 digits.
    """
    input:
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
    output:
        png=report(
            f"{RESULTS}/sstcam/pixels/{{pixel}}.png",
            caption="../../report/spe_pixel.rst",
            category="SSTCAM",
            subcategory="pixels on demand",
            labels={"figure": "pixel {pixel}"},
        ),
        pdf=f"{RESULTS}/sstcam/pixels/{{pixel}}.pdf",
    log:
        f"{RESULTS}/logs/plot_spe_pixel/{{pixel}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/plot_spe_pixel/{{pixel}}.tsv"
    wildcard_constraints:
        pixel=r"[^/]+",  # a name that no pixel has is said to be one
    conda:
        "../../../envs/sstcam_figures.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    params:
        pixel=pictured_pixel,
        library=library("charge/plot_spe_pixel"),
    script:
        "../../scripts/charge/plot_spe_pixel.py"


rule report_sstcam:
    """
    What: one self-contained page about the SSTCAM: verdict, camera maps, parameters, the pixels in
        question with their spectra, the model against all pixels, the charge resolution against the
        requirement, validation, what was run; and its verdict as JSON.
    Physics: data and model of all good pixels together, in photoelectrons; otherwise what the
        products say.
    Wildcards: none.
    """
    input:
        **scan_products(),
        **where_simulated(truth=f"{RESULTS}/sstcam/runs/truth.ecsv"),
        **where_waveforms(peaks=f"{RESULTS}/sstcam/peaks.fits"),
        spe=f"{RESULTS}/sstcam/spe/spe.fits",
        spectra=f"{RESULTS}/sstcam/spe/spectra.fits",
        validation=f"{RESULTS}/sstcam/spe/validation.json",
        charges=all_charge_files,
        pixel_map=SSTCAM_MAP,
    output:
        report=report(
            f"{RESULTS}/sstcam.html",
            caption="../../report/sstcam.rst",
            category="SSTCAM",
            labels={"figure": "report"},
        ),
        summary=f"{RESULTS}/sstcam.json",
    log:
        f"{RESULTS}/logs/report_sstcam/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report_sstcam/report.tsv"
    conda:
        "../../../envs/sstcam_report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=10,
    params:
        settings=sstcam_page_settings(),
        run=config["run"],
        library=library("charge/report_sstcam"),
        templates=templates("charge"),
    script:
        "../../scripts/charge/report_sstcam.py"
