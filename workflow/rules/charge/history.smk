rule make_sstcam_history:
    """
    What: the gains of all sets of runs, of this run and of `sstcam.history.files`, as one history: the
        best gain and crosstalk of every pixel at every date, what camera and modules do, jumps; the
        alarms, a line each; and one self-contained page about them.
    Physics: camera, modules and pixels walk at random in gain and crosstalk; how much is learnt from
        the data, and the best values are those of a Kalman smoother. A jump is accepted at a stated
        rate of false alarms over the whole history.
    Wildcards: none.
    """
    input:
        sets=sets_of_runs,
        pixel_map=SSTCAM_MAP,
    output:
        history=f"{RESULTS}/sstcam/history/history.fits",
        alarms=f"{RESULTS}/sstcam/history/alarms.txt",
        page=report(
            f"{RESULTS}/sstcam/history/history.html",
            caption="../../report/sstcam_history.rst",
            category="SSTCAM",
            labels={"figure": "history"},
        ),
    log:
        f"{RESULTS}/logs/make_sstcam_history/history.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_sstcam_history/history.tsv"
    conda:
        "../../../envs/sstcam_report.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=20,
    params:
        history=sstcam_history_settings(),
        contents=contents(*OTHER_SETS, SSTCAM_MAP),
        date=config["date"],
        library=library_chain("charge/make_sstcam_history"),
        templates=templates("charge") | templates("history"),
    script:
        "../../scripts/charge/make_sstcam_history.py"
