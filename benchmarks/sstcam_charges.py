"""How fast waveforms become charges, beside the ways that the original and numpy take.

python benchmarks/sstcam_charges.py [events, 200 by default]

2048 pixels x 128 samples, each pixel with its own peak, the baseline of the event taken off; one
core, all in one run. The original rolls the waveforms of each event, pixel by pixel, and sums a
fixed window (with ctapipe on top, which is not timed here).
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow" / "scripts"))

from pixelcal.charge.extraction.charges import Window, charge_step, extract_block, first_samples
from pixelcal.charge.extraction.peaks import Peaks
from pixelcal.charge.runs.waveforms import Block

N_PIXELS, N_SAMPLES, BLOCK_EVENTS = 2048, 128, 32
WINDOW = Window(16, 6, 16)
ADC_RANGE = (0, 4095)
REPEATS = 3


def make_block(rng) -> Block:
    """Events of noise; the time does not depend on what is in them."""
    shape = BLOCK_EVENTS, N_PIXELS, N_SAMPLES
    waveforms = rng.integers(280, 360, shape, dtype=np.uint16)
    return Block(waveforms, np.arange(BLOCK_EVENTS), np.zeros(BLOCK_EVENTS, np.uint8), None)


def by_pixelcal(block: Block, peaks: Peaks) -> np.ndarray:
    """The chain's own way: one compiled pass."""
    first = first_samples(peaks, N_SAMPLES, WINDOW)
    rows = np.arange(N_PIXELS)
    charges, _, _ = extract_block(block, rows, first, WINDOW, peaks.live, ADC_RANGE)
    return charges * charge_step(np.uint16, WINDOW)


def by_roll(block: Block, peaks: Peaks) -> np.ndarray:
    """Roll each waveform of each event to one peak, then sum a fixed window."""
    out = np.empty((N_PIXELS, len(block.flags)))
    for event, data in enumerate(block.waveforms):
        waveforms = data - data[:, : WINDOW.baseline_samples].mean(axis=1)[:, None]
        for pixel in range(N_PIXELS):
            shift = WINDOW.window_shift - peaks.peak[pixel]
            waveforms[pixel] = np.roll(waveforms[pixel], shift)
        out[:, event] = waveforms[:, : WINDOW.window].sum(axis=1)
    return out


def by_take(block: Block, peaks: Peaks) -> np.ndarray:
    """The fastest way that numpy has: gather the windows of whole blocks."""
    first = first_samples(peaks, N_SAMPLES, WINDOW)
    place = (first[:, None] + np.arange(WINDOW.window))[None]
    summed = np.take_along_axis(block.waveforms, place, axis=2).sum(axis=2, dtype=np.int64)
    baseline = block.waveforms[:, :, : WINDOW.baseline_samples].mean(axis=2)
    return (summed - WINDOW.window * baseline).T


METHODS = {
    "pixelcal": by_pixelcal,
    "numpy, windows gathered": by_take,
    "np.roll per event": by_roll,
}


def best_ms(function, block: Block, peaks: Peaks) -> float:
    """Shortest time (ms an event) of several, after one run that compiles."""
    function(block, peaks)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(block, peaks)
        times.append(time.perf_counter() - start)
    return 1000 * min(times) / len(block.flags)


def streamed_ms(blocks: list[Block], peaks: Peaks) -> float:
    """Time (ms an event) of a pass through blocks that the cache does not hold."""
    first = first_samples(peaks, N_SAMPLES, WINDOW)
    rows = np.arange(N_PIXELS)
    start = time.perf_counter()
    for block in blocks:
        extract_block(block, rows, first, WINDOW, peaks.live, ADC_RANGE)
    return 1000 * (time.perf_counter() - start) / sum(len(block.flags) for block in blocks)


def main() -> None:
    """Print the table."""
    n_events = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(1)
    peak = rng.integers(38, 44, N_PIXELS)
    nothing = np.zeros(N_PIXELS, bool)
    mean = np.zeros((N_PIXELS, N_SAMPLES))
    peaks = Peaks(np.arange(N_PIXELS), peak, nothing, nothing, mean)
    blocks = [make_block(rng) for _ in range(-(-n_events // BLOCK_EVENTS))]
    charges = [method(blocks[0], peaks) for method in METHODS.values()]
    if not all(np.array_equal(charges[0], other) for other in charges):
        raise SystemExit("the charges differ")
    print(f"Charges of {N_PIXELS} pixels x {N_SAMPLES} samples on one core\n")
    row = "{:<28}{:>12}{:>24}"
    print(row.format("", "ms an event", "pixelcal is faster by"))
    times = {name: best_ms(method, blocks[0], peaks) for name, method in METHODS.items()}
    for name, ms in times.items():
        print(row.format(name, f"{ms:.3f}", f"{ms / times['pixelcal']:.1f}"))
    n_streamed = sum(len(block.flags) for block in blocks)
    streamed = min(streamed_ms(blocks, peaks) for _ in range(REPEATS))
    print(f"\npixelcal, {n_streamed} events in {len(blocks)} blocks: {streamed:.3f} ms an event")


if __name__ == "__main__":
    main()
