"""The blocks left out in turn, through the workflow: on request, beside the same fits."""

import shutil

import numpy as np
from astropy.io import fits

RELATION = "results/eclairs/3ks/relation.fits"


def test_leave_one_out_adds_an_extension(ci_project, tmp_path, snakemake):
    folder = shutil.copytree(ci_project, tmp_path / "project", symlinks=True)
    before = fits.getdata(folder / RELATION, "RELATION")
    (folder / "own.yaml").write_text("fit: {leave_one_out: true}\n")
    run = snakemake(folder, "--configfile", "config/ci.yaml", "own.yaml", "--", RELATION)
    assert run.returncode == 0, run.stderr[-6000:]
    with fits.open(folder / RELATION) as hdus:
        relation, left_out = hdus["RELATION"].data, hdus["LEAVEOUT"].data
        assert left_out.columns["GAIN"].unit == "keV/chan"
    for name in ("GAIN", "OFFSET", "PVALUE", "STATUS"):
        np.testing.assert_array_equal(relation[name], before[name])
    np.testing.assert_array_equal(left_out["DETNUM"], relation["DETNUM"])
    answered = np.isfinite(relation["GAIN"])
    change = left_out["GAIN"][answered] - relation["GAIN"][answered][:, None]
    assert change.shape[1] == 5 and np.count_nonzero(np.isfinite(change)) > 0.9 * change.size
    assert np.nanmax(np.abs(change)) > 0
