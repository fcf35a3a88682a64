rule simulate_pixels:
    """
    What: the properties of each pixel of the simulated camera. Only where no folder of runs is
        configured.
    Physics: gain, crosstalk, noise, baseline, efficiency and time skew differ from pixel to pixel;
        some pixels are dead.
    Wildcards: none.
    """
    output:
        pixels=f"{RESULTS}/sstcam/runs/pixels.ecsv",
    log:
        f"{RESULTS}/logs/simulate_pixels/pixels.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_pixels/pixels.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        simulation=leaves(SSTCAM["simulation"], *SIMULATED_PIXELS),
        pixels=SSTCAM_PIXELS,
        library=library("charge/simulate_pixels"),
    script:
        "../../scripts/charge/simulate_pixels.py"


rule list_runs:
    """
    What: the table of the simulated runs, in the form of a folder of real runs.
    Physics: the light of a run, in photons; a simulated camera turns a fixed fraction of them into
        photoelectrons.
    Wildcards: set, `spe` or `scan`.
    """
    output:
        table=f"{RESULTS}/sstcam/runs/{{set}}/table.csv",
    log:
        f"{RESULTS}/logs/list_runs/{{set}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/list_runs/{{set}}.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        runs=simulated_table,
        set="{set}",
        library=library("charge/list_runs"),
    script:
        "../../scripts/charge/list_runs.py"


rule simulate_flashes:
    """
    What: the waveforms of one run, flash by flash, with the true number of photoelectrons. Only
        where no folder of runs is configured.
    Physics: Poisson light; crosstalk as a branching process; a charge and a pulse for each
        avalanche; noise; 12 bits. Night-sky background and afterpulses where asked for.
    Wildcards: set, `spe` or `scan`; run, its name in the table of runs.
    """
    input:
        pixels=f"{RESULTS}/sstcam/runs/pixels.ecsv",
    output:
        run=f"{RESULTS}/sstcam/runs/{{set}}/{{run}}.h5",
    log:
        f"{RESULTS}/logs/simulate_flashes/{{set}}-{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_flashes/{{set}}-{{run}}.tsv"
    wildcard_constraints:
        set="spe|scan" if FLASHES_SIMULATED else NO_RUN,
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=60,
    params:
        simulation=leaves(SSTCAM["simulation"], *SIMULATED_FLASHES),
        n_ph=lambda wildcards: run_light(wildcards)["n_ph"],
        flashes=flashes,
        run="{run}",
        library=library("charge/simulate_flashes"),
    script:
        "../../scripts/charge/simulate_flashes.py"


rule convert_run:
    """
    What: a run that is not in the open layout, read through ctapipe and written in it. The file is
        removed when the charges have been taken from it.
    Physics: samples as they were digitised (R0) where the run has them, else calibrated ones (R1);
        charges of DL1 where ready charges are asked for.
    Wildcards: set, `spe` or `scan`; run, its name in the table of runs.
    """
    input:
        run=lambda wildcards: run_entry(wildcards).path,
    output:
        run=temp(f"{RESULTS}/sstcam/runs/{{set}}/{{run}}.h5"),
    log:
        f"{RESULTS}/logs/convert_run/{{set}}-{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_run/{{set}}-{{run}}.tsv"
    wildcard_constraints:
        set=NO_RUN if FLASHES_SIMULATED else "spe|scan",
    conda:
        "../../../envs/sstcam_source.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=120,
    params:
        telescope=SSTCAM["source"]["telescope"],
        gain_channel=SSTCAM["source"]["gain_channel"],
        adc_range=SSTCAM["source"]["adc_range"],
        max_events=SSTCAM["charges"]["max_events"],
        form=lambda wildcards: FORMS[wildcards.set],
        contents=lambda wildcards: run_contents(run_entry(wildcards)),
        library=library("charge/convert_run"),
    script:
        "../../scripts/charge/convert_run.py"


rule find_peaks:
    """
    What: the sample at which the pulse of each pixel has its peak, and the pixels that see no light.
    Physics: the maximum of the mean waveform of the brightest run of single photoelectrons; the
        flash arrives at the same time in all runs.
    Wildcards: none.
    """
    input:
        **optional(bad_pixels=SSTCAM["bad_pixels"]),
        run=brightest_run,
    output:
        peaks=f"{RESULTS}/sstcam/peaks.fits",
    log:
        f"{RESULTS}/logs/find_peaks/peaks.log",
    benchmark:
        f"{RESULTS}/benchmarks/find_peaks/peaks.tsv"
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=30,
    params:
        charges=leaves(SSTCAM["charges"], "time_skew", "solo_pixels", "max_events"),
        pixels=SSTCAM_PIXELS,
        run=lambda wildcards: run_names("spe")[-1],
        event_types=SSTCAM["source"]["event_types"],
        contents=lambda wildcards: run_contents(named_runs("spe")[-1])
        + contents(SSTCAM["bad_pixels"]),
        date=config["date"],
        library=library_chain("charge/find_peaks"),
    script:
        "../../scripts/charge/find_peaks.py"


rule extract_charges:
    """
    What: the charge of each pixel in each good flash of one run; bad events are counted by reason.
    Physics: the sum of the samples around the peak of the pixel, where asked for minus the mean of
        the first samples.
    Wildcards: set, `spe` or `scan`; run, its name in the table of runs.
    """
    input:
        **optional(bad_pixels=SSTCAM["bad_pixels"]),
        run=run_input,
        peaks=f"{RESULTS}/sstcam/peaks.fits",
    output:
        charges=f"{RESULTS}/sstcam/charges/{{set}}/{{run}}.fits",
    log:
        f"{RESULTS}/logs/extract_charges/{{set}}-{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/extract_charges/{{set}}-{{run}}.tsv"
    wildcard_constraints:
        set=sets_of("waveforms"),
    priority: 10  # before the next run is converted, so that few of these exist at a time
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=60,
    params:
        charges=charge_settings(),
        light=run_light,
        set="{set}",
        run="{run}",
        event_types=SSTCAM["source"]["event_types"],
        contents=lambda wildcards: run_contents(run_entry(wildcards))
        + contents(SSTCAM["bad_pixels"]),
        date=config["date"],
        library=library_chain("charge/find_peaks", "charge/extract_charges"),
    script:
        "../../scripts/charge/extract_charges.py"


rule take_charges:
    """
    What: ready charges of one run, measured by other software, in the form that the other rules
        read; missing values and bad events are counted. In place of peaks and extraction.
    Physics: none; charges as they are.
    Wildcards: set, `spe` or `scan`; run, its name in the table of runs.
    """
    input:
        **optional(bad_pixels=SSTCAM["bad_pixels"]),
        run=ready_input,
    output:
        charges=f"{RESULTS}/sstcam/charges/{{set}}/{{run}}.fits",
    log:
        f"{RESULTS}/logs/take_charges/{{set}}-{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/take_charges/{{set}}-{{run}}.tsv"
    wildcard_constraints:
        set=sets_of("charges"),
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    params:
        charges=ready_charge_settings(),
        pixels=SSTCAM_PIXELS,
        light=run_light,
        set="{set}",
        run="{run}",
        event_types=SSTCAM["source"]["event_types"],
        contents=lambda wildcards: run_contents(run_entry(wildcards))
        + contents(SSTCAM["bad_pixels"]),
        date=config["date"],
        library=library_chain("charge/take_charges"),
    script:
        "../../scripts/charge/take_charges.py"


rule write_truth:
    """
    What: what the fits of the simulated pixels should find, in the window that charges are summed
        in; validation and report compare with it. Only where no folder of runs is configured.
    Physics: the part of the pulse that is in the window of the pixel; noise and rounding of all
        samples that are summed; the light of a run times the efficiency of the pixel. With a dark
        run, mean and scatter of the night sky are part of the pedestal (Campbell's theorem).
    Wildcards: none.
    """
    input:
        pixels=f"{RESULTS}/sstcam/runs/pixels.ecsv",
        peaks=f"{RESULTS}/sstcam/peaks.fits",
    output:
        truth=f"{RESULTS}/sstcam/runs/truth.ecsv",
    log:
        f"{RESULTS}/logs/write_truth/truth.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_truth/truth.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/sstcam_waveforms.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=10,
    params:
        charges=charge_settings(),
        light=[run.light["n_ph"] * SSTCAM["simulation"]["pde"] for run in RUNS["spe"]],
        fwhm_ns=SSTCAM["simulation"]["fwhm_ns"],
        nsb_per_ns=SSTCAM["simulation"]["nsb_per_ns"],
        library=library("charge/write_truth"),
    script:
        "../../scripts/charge/write_truth.py"
