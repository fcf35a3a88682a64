"""What a real camera does that the ideal one does not: a switch or a size for each, and presets.

Each preset but `all` has one imperfection on top of the ideal camera, so that its effect can be
measured alone; `combine("law+bend")` puts several together. `all` is a camera as it may fly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

LEAD_RATE_PER_S = 0.024
"""Rate (1/s) of the lead lines in a pixel of the ideal camera, which that of bismuth refers to."""


@dataclass(frozen=True)
class Imperfections:
    """Switches and sizes; the defaults are those of the ideal camera. Energies in keV.

    Each has the source in which real cameras show it; sizes without a source are assumptions.

    Attributes
    ----------
    law : bool
        Width and tail follow `FlightDetector`, other functions of the energy than the fitted ones
        (Redus et al. 2009, IEEE Trans. Nucl. Sci. 56, 2524: tails of CdTe).
    complete_lines, natural_widths : bool
        K beta 2 of Cd and Te is there (Elam, Ravel & Sieber 2002); lines are as wide as Campbell &
        Papp 2001, At. Data Nucl. Data Tables 77, 1, say.
    tail_spread, tail_gradient, sick_fraction : float
        Scatter of the logarithm of a factor on fraction and loss of the tail together, its linear
        change from the centre of the camera to a side, and pixels in which it is three times more:
        transport differs from crystal to crystal (Takahashi & Watanabe 2001, IEEE Trans. Nucl. Sci.
        48, 950).
    hecht : bool
        Charge is lost by the depth of the interaction (Hecht 1932, Z. Phys. 77, 235) and not
        exponentially.
    bend_keV, bend_pixels_keV : float
        True energy minus the straight relation at 80 keV, quadratic: of all pixels, and the
        scatter of it. The readout is linear to a fraction of a percent (Gevin et al. 2009, IEEE
        Trans. Nucl. Sci. 56, 2351).
    bend_low_keV : float
        The same at 4 keV, falling exponentially with the energy: ISGRI has another gain at low
        energy than at high (Terrier et al. 2003, A&A 411, L167).
    dnl, inl_channels : float
        Errors of channel widths, odd against even and random; steps of the random walk of channel
        edges (definitions: IEEE Std 1241).
    drift : float
        The gain goes from minus to plus this fraction within the exposure, as with temperature and
        polarisation (Terrier et al. 2003).
    strengths : float
        Scatter of the logarithm of a factor on the lines of each element: some pixels are nearer
        to what fluoresces than others.
    extra_rates : tuple of (element or element and "L", rate in 1/s)
        Lines that the line table lacks: solder, contacts, circuits, an alloy of the shield.
    line_shift : tuple of (element, keV)
        The lines of an element are elsewhere; tables differ by tens of eV for heavy elements
        (Deslattes et al. 2003, Rev. Mod. Phys. 75, 35).
    threshold : (lowest, highest)
        Thresholds are uniform between; some pixels of ECLAIRs have high ones (Xie et al. 2024,
        arXiv:2401.13619).
    threshold_sigma : float
        Width of a threshold; 0, it is sharp. It is as soft as the electronic noise is large (Dubos
        et al. 2013, IEEE Trans. Nucl. Sci. 60, 3824: Caliste HD at low energy).
    noisy_fraction : float
        Pixels with noise at low energy, near the heat pipes (Xie et al. 2024); ISGRI has noisy
        pixels too (Lebrun et al. 2003, A&A 411, L141).
    sharing : float
        Events that lose a part, below the threshold, to a neighbour (Meuris, Limousin & Blondel
        2009, Nucl. Instrum. Methods A 610, 294).
    module_offset_keV, module_gain : float
        Modules are off by up to so much in offset, and relatively in gain: an ASIC each.
    hot_fraction, dead_modules, efficiency_spread : float
        Pixels that count 100 times as much; modules that are off; scatter of efficiencies (Xie et
        al. 2024: pixels of low efficiency).
    bump, edges : float
        Relative size of a bump at 62 keV in the continuum, and of its steps at the K edges of W and
        Pb, behind which a shield lets less pass.
    """

    law: bool = False
    complete_lines: bool = False
    natural_widths: bool = False
    tail_spread: float = 0.0
    tail_gradient: float = 0.0
    sick_fraction: float = 0.0
    hecht: bool = False
    bend_keV: float = 0.0
    bend_pixels_keV: float = 0.0
    bend_low_keV: float = 0.0
    dnl: float = 0.0
    inl_channels: float = 0.0
    drift: float = 0.0
    strengths: float = 0.0
    extra_rates: tuple[tuple[str, float], ...] = ()
    line_shift: tuple[tuple[str, float], ...] = ()
    threshold: tuple[float, float] = (4.0, 4.0)
    threshold_sigma: float = 0.0
    noisy_fraction: float = 0.0
    sharing: float = 0.0
    module_offset_keV: float = 0.0
    module_gain: float = 0.0
    hot_fraction: float = 0.0
    dead_modules: float = 0.0
    efficiency_spread: float = 0.05
    bump: float = 0.0
    edges: float = 0.0


IDEAL = Imperfections()
TAILS = {"tail_spread": 0.3, "tail_gradient": 0.2, "sick_fraction": 0.03}
UNKNOWN = (
    ("In", 0.001),
    ("Sn", 0.001),
    ("Cs", 0.001),
    ("Zn", 0.001),
    ("Ga", 0.0005),
    ("Pb L", 0.003),
)
"""Lines of solder, contacts and circuits, and the L lines of the shield, and their rates (1/s)."""


def _bismuth(fraction: float) -> tuple[tuple[str, float], ...]:
    return (("Bi", fraction * LEAD_RATE_PER_S),)


FLIGHT = Imperfections(
    law=True,
    complete_lines=True,
    natural_widths=True,
    **TAILS,
    dnl=0.02,
    inl_channels=0.03,
    drift=0.001,
    strengths=0.3,
    extra_rates=_bismuth(0.03) + tuple((name, 0.3 * rate) for name, rate in UNKNOWN),
    threshold=(4.0, 7.0),
    threshold_sigma=0.3,
    noisy_fraction=0.1,
    sharing=0.05,
)
"""A camera as it may fly: everything together at moderate sizes, the relation straight."""

PRESETS = {
    "ideal": IDEAL,
    "law": Imperfections(law=True, complete_lines=True),
    "kb2": Imperfections(complete_lines=True),
    "widths": Imperfections(natural_widths=True),
    "tails": Imperfections(**TAILS),
    "hecht": Imperfections(hecht=True),
    "hecht_pixels": Imperfections(hecht=True, tail_spread=0.2),
    "bend": Imperfections(bend_keV=0.3),
    "bend_pixels": Imperfections(bend_pixels_keV=0.15),
    "bend_low": Imperfections(bend_low_keV=-0.2),
    "dnl": Imperfections(dnl=0.05),
    "inl": Imperfections(inl_channels=0.05),
    "drift": Imperfections(drift=0.003),
    "strengths": Imperfections(strengths=0.3),
    "bi10": Imperfections(extra_rates=_bismuth(0.1)),
    "bi30": Imperfections(extra_rates=_bismuth(0.3)),
    "lines": Imperfections(extra_rates=_bismuth(0.1) + UNKNOWN),
    "pb20": Imperfections(line_shift=(("Pb", 0.02),)),
    "pb40": Imperfections(line_shift=(("Pb", 0.04),)),
    "thresholds": Imperfections(threshold=(4.0, 7.0), threshold_sigma=0.3),
    "noise": Imperfections(noisy_fraction=0.1),
    "noise_thresholds": Imperfections(
        noisy_fraction=0.1, threshold=(4.0, 7.0), threshold_sigma=0.3
    ),
    "sharing": Imperfections(sharing=0.1),
    "modules": Imperfections(module_offset_keV=2.0, module_gain=0.03),
    "hot": Imperfections(hot_fraction=0.01),
    "half": Imperfections(dead_modules=0.5),
    "efficiency": Imperfections(efficiency_spread=0.3),
    "bump": Imperfections(bump=0.3),
    "edges": Imperfections(edges=0.1),
    "all": FLIGHT,
}


def combine(names: str) -> Imperfections:
    """The presets `names`, joined by +, together; where two set the same, the later one counts."""
    together = IDEAL
    for name in names.split("+"):
        chosen = PRESETS[name]
        changed = {
            field.name: getattr(chosen, field.name)
            for field in fields(chosen)
            if getattr(chosen, field.name) != getattr(IDEAL, field.name)
        }
        together = replace(together, **changed)
    return together
