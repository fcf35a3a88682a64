rule simulate_events:
    """
    What: an event list of the camera in orbit, its good times, the spectrum without energy
        redistribution, and the properties of each pixel. Only where no event file is configured.
    Physics: cosmic X-ray background, internal continuum and fluorescence lines through the CdTe
        efficiency; resolution, hole tails and escape peaks; multiples share their energy. The
        flight camera has lines that no table has, thresholds, noise, drift and non-linearity.
    Wildcards: none.
    """
    input:
        **({} if HAS_TRUTH else prior_input()),
        lines=LINES,
        catalogue=SKY[1:],
        attenuation=ATTENUATION,
    output:
        events=f"{FOLDER}/events/events.fits",
        gti=f"{FOLDER}/events/gti.fits",
        undistributed=f"{FOLDER}/events/undistributed.fits",
        pixels=f"{FOLDER}/events/pixels.ecsv",
    log:
        f"{RESULTS}/logs/simulate_events/events.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_events/events.tsv"
    conda:
        "../../../envs/simulation.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=30,
    params:
        simulation=simulation_settings(),
        layout=config["events"]["layout"],
        pixels=PIXELS,
        # energies know no relation; only channels hold it already
        relation=None if HAS_TRUTH else prior_relation(),
        injection=None if HAS_TRUTH else leaves(config["injection"], *INJECTION),
        criteria=config["events"]["gti"]["criteria"],
        contents=contents(*SKY, ATTENUATION, None if HAS_TRUTH else config["relation"]["file"]),
        date=config["date"],
        instrument=INSTRUMENT,
        library=library("energy/simulate_events"),
    script:
        "../../scripts/energy/simulate_events.py"
