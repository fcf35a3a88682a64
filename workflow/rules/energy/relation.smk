rule merge_relation:
    """
    What: the fits of all chunks as one relation of the camera, with positions, bad pixels and
        outliers marked; and the calibration file of the mission, usable for every pixel.
    Physics: a pixel is compared with its neighbours; without a valid fit, or with one
        that may be at the wrong place, the mission's file keeps the relation known before.
    Wildcards: exposure, a name under `exposures` in the configuration.
    """
    input:
        unpack(response_input),
        **prior_input(),
        **bad_pixels_input(),
        chunks=chunk_files,
        spectra=f"{FOLDER}/{{exposure}}/spectra.fits",
        lines=line_table,
        pixel_map=PIXEL_MAP,
    output:
        **mission_output(),
        relation=f"{FOLDER}/{{exposure}}/relation.fits",
    log:
        f"{RESULTS}/logs/merge_relation/{{exposure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/merge_relation/{{exposure}}.tsv"
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
        settings=product_settings,
        contents=contents(config["bad_pixels"]),
        date=config["date"],
        instrument=INSTRUMENT,
        library=library_chain(relation_scripts),
    script:
        "../../scripts/energy/merge_relation.py"
