rule make_history:
    """
    What: the relations of all epochs, of this run and of `history.files`, as one history: the best
        relation of every pixel at every epoch, what camera and modules do, jumps; and the alarms,
        a line each.
    Physics: camera, modules and pixels walk at random; how much is learnt from the data, and the
        best energies are those of a Kalman smoother. A jump is accepted at a stated rate of false
        alarms over the whole history.
    Wildcards: none.
    """
    input:
        **optional(prior=config["relation"]["file"]),
        **optional(housekeeping=config["history"]["housekeeping"]["file"]),
        relations=history_relations(),
        pixel_map=PIXEL_MAP,
    output:
        history=f"{RESULTS}/history/history.fits",
        alarms=f"{RESULTS}/history/alarms.txt",
    log:
        f"{RESULTS}/logs/make_history/history.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_history/history.tsv"
    conda:
        "../../../envs/history.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1500 * attempt,
        runtime=20,
    params:
        history=history_settings(),
        contents=history_contents(),
        date=config["date"],
        instrument=INSTRUMENT,
        library=library_chain("energy/history"),
    script:
        "../../scripts/energy/history.py"


rule publish_history:
    """
    What: the mission's calibration files, one for each epoch from which on the file before is no
        longer good enough, each in force until the next; usable for every pixel.
    Physics: the best relation of the epoch. A pixel without one keeps its previous values.
    Wildcards: none.
    """
    input:
        **optional(prior=config["relation"]["file"]),
        history=f"{RESULTS}/history/history.fits",
    output:
        published=directory(f"{RESULTS}/history/published"),
    log:
        f"{RESULTS}/logs/publish_history/history.log",
    benchmark:
        f"{RESULTS}/benchmarks/publish_history/history.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/relation.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=10,
    params:
        relation=prior_relation(),
        date=config["date"],
        instrument=INSTRUMENT,
        library=library_chain("energy/history", "energy/publish_history"),
    script:
        "../../scripts/energy/publish_history.py"


rule show_history:
    """
    What: one self-contained page about the history: alarms, the camera, modules and every pixel
        against time, and a map on which a pixel is chosen.
    Physics: what history.fits says, in whole numbers of eV.
    Wildcards: none.
    """
    input:
        history=f"{RESULTS}/history/history.fits",
        alarms=f"{RESULTS}/history/alarms.txt",
        pixel_map=PIXEL_MAP,
    output:
        page=report(
            f"{RESULTS}/history/history.html",
            caption="../../report/history.rst",
            category=INSTRUMENT["title"],
            labels={"exposure": "all", "figure": "history"},
        ),
    log:
        f"{RESULTS}/logs/show_history/history.log",
    benchmark:
        f"{RESULTS}/benchmarks/show_history/history.tsv"
    localrule: True  # a second or two of work: a job of a cluster costs more
    conda:
        "../../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=10,
    params:
        instrument=INSTRUMENT,
        library=library("energy/show_history"),
        templates=templates("history"),
    script:
        "../../scripts/energy/show_history.py"
