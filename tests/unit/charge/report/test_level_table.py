"""The page's table of levels of background."""

from types import SimpleNamespace

from pixelcal.charge.report.resolution import LEVEL_HEADINGS, levels_table, levels_text

LOWEST = {
    "nsb_per_ns": 0.0,
    "runs": ["a", "b"],
    "pedestal_from": "SPE fits",
    "pedestal_shift_pe": 0.0,
    "gain": 1.0,
    "gain_err": 0.0,
    "gain_from": ["lowest level"],
}
NIGHT = LOWEST | {
    "nsb_per_ns": 0.125,
    "runs": ["dark", "c", "d"],
    "pedestal_from": "dark",
    "pedestal_shift_pe": 3.1046,
    "gain": 0.90199,
    "gain_err": 0.0043,
    "gain_from": ["other runs"],
}


def rows(*levels):
    return levels_table(SimpleNamespace(summary={"levels": list(levels)}))


def test_each_level_says_what_it_is_converted_with():
    lowest, night = rows(LOWEST, NIGHT)
    assert len(night) == 1 + len(LEVEL_HEADINGS)
    assert lowest == ["0", "2", "SPE fits", "+0.000", "1", "lowest level"]
    assert night[:4] == ["0.125", "3", "dark", "+3.105"]
    assert night[4].startswith("0.9020") and "0.0043" in night[4] and night[5] == "other runs"


def test_a_gain_that_is_not_known_has_no_error():
    _, night = rows(LOWEST, NIGHT | {"gain": 1.0, "gain_err": None, "gain_from": ["not known"]})
    assert night[4:] == ["1", "not known"]


def test_one_level_as_the_fits_say_has_no_table():
    assert rows(LOWEST) == [] and rows() == []
    assert len(rows(LOWEST | {"pedestal_from": "dark"})) == 1
    assert levels_table(SimpleNamespace(summary={})) == []


def test_the_verdict_names_the_levels_that_it_is_of():
    def text(*states):
        verdicts = [
            {"nsb_per_ns": 0.1 * i, "state": state, "n_judged": int(state != "not measured")}
            for i, state in enumerate(states)
        ]
        return levels_text(SimpleNamespace(summary={"verdicts": verdicts}))

    assert text("meets", "misses", "meets") == "NSB 0.1 p.e./ns"
    assert text("meets", "not measured", "meets") == "NSB 0 and 0.2 p.e./ns"
    assert text("meets", "cannot be said") == "NSB 0.1 p.e./ns"
