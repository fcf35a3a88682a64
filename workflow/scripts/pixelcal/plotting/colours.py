"""Colours of figures and report: apart for the colour-blind (Okabe and Ito)."""

OKABE_ITO = {
    "black": "#000000",
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "green": "#009e73",
    "yellow": "#f0e442",
    "blue": "#0072b2",
    "vermilion": "#d55e00",
    "purple": "#cc79a7",
}
STATUS_COLOURS = (
    "#d7e3ea",  # good: stays in the background
    "#6b6b6b",
    OKABE_ITO["black"],
    OKABE_ITO["vermilion"],
    OKABE_ITO["orange"],
    OKABE_ITO["yellow"],
    OKABE_ITO["sky"],
    OKABE_ITO["purple"],
    OKABE_ITO["blue"],
    OKABE_ITO["green"],
)
"""One colour for good, then for each STATUS bit in rising order."""
