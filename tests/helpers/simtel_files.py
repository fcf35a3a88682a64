"""A small simtel file of a made-up camera, byte by byte: the layout of eventio's objects.

The layouts are those that eventio's readers expect (eventio/simtel/objects.py); only what they need
is written. Every flash is a calibration event with raw samples.
"""

import struct

import numpy as np

SYNC = b"\x37\x8a\x1f\xd4"
ONLY_SUBOBJECTS = 1 << 30
FLOATS_OF_RUN = 8


def item(kind, content, version=0, number=0, top=False, container=False):
    """An object: its header, at the top level after a mark, and its content."""
    length = len(content) | (ONLY_SUBOBJECTS if container else 0)
    head = struct.pack("<IiI", kind | version << 20, number, length)
    return (SYNC if top else b"") + head + content


def text(value):
    return struct.pack("<h", len(value)) + value


def signed(value):
    """An integer in as few bytes as it needs; the sign is the lowest bit."""
    u = 2 * value if value >= 0 else -2 * value - 1
    if u < 1 << 7:
        return bytes([u])
    if u < 1 << 14:
        return bytes([0x80 | u >> 8, u & 0xFF])
    return bytes([0xC0 | u >> 16, u >> 8 & 0xFF, u & 0xFF])


def run_header():
    numbers = struct.pack("<5i", 17, 0, 0, 0, 0) + struct.pack("<7f", *[0.0] * 7)
    telescopes = struct.pack("<ih3f2i", 1, 1, 0.0, 0.0, 0.0, 1, 0)
    return item(2000, numbers + telescopes + 2 * text(b"lab"), version=2, number=17, top=True)


def simulation_header():
    content = struct.pack("<6ifiii", *[0] * 6, 0.0, 1, 1, 0)
    content += struct.pack("<6fi4f", *[0.0] * 6, 0, 0.0, 0.0, 0.1, 1.0)
    content += struct.pack("<5f4i3f2i", *[0.0] * 5, *[0] * 4, *[0.0] * 3, 0, 0)
    return item(2001, content, version=4, top=True)


def history():
    command = item(71, struct.pack("<i", 0) + text(b"sim_telarray"))
    return item(70, command, top=True, container=True)


def telescope(n_pixels, n_channels, n_samples):
    """Camera, electronics, and the settings that must be there."""

    def own(kind, content, version=0):
        return item(kind, content, version, 1, top=True)

    def array(value, kind, n=n_pixels):
        return np.full(n, value, kind).tobytes()

    place = (0.01 * np.arange(n_pixels)).astype("<f4").tobytes()  # m
    camera = struct.pack("<if", n_pixels, 2.15) + place + array(0.0, "<f4")
    camera += 2 * array(1e-4, "<f4") + struct.pack("<iff", 1, 10.0, 0.0)
    organisation = struct.pack("<4i", n_pixels, 1, n_channels, 0) + array(0, "<i2")
    organisation += 3 * array(0, "<i2", n_pixels * n_channels) + array(0, "<i2")
    pixels = struct.pack("<4i", 0, 0, 0, n_pixels) + array(0, "<i4") + struct.pack("<i", 1)
    pixels += struct.pack("<iihhfi", 0, 1, 0, n_samples, 1.0, n_samples)
    pixels += signed(n_channels) + signed(3) + struct.pack("<f", 1.0)
    pixels += array(1.0, "<f2", 3 * n_channels)
    monitoring = struct.pack("<hhi2i4h", 4, 4, 0, 0, 0, 1, n_pixels, 1, n_channels)
    monitoring += struct.pack("<2ih", 0, 0, 1) + 2 * array(0.0, "<f4", n_pixels * n_channels)
    laser = struct.pack("<Hhi", n_pixels, n_channels, 0)
    laser += array(1.0, "<f4", n_pixels * n_channels) + array(0.0, "<f4", 2 * n_channels)
    laser += array(0.0, "<f4", n_pixels * n_channels)
    return b"".join(
        [
            own(2002, camera, 3),
            own(2003, organisation, 1),
            own(2004, pixels, 2),
            own(2005, struct.pack("<2i", 0, 0)),
            own(2006, struct.pack("<16i", *[0] * 15, 0)[: 4 * 15]),
            own(2007, struct.pack("<2i", 0, 0)),
            own(2008, struct.pack("<2h12f", 0, 0, *[0.0] * 12)),
            item(2022, monitoring, 0, 1 | 4 << 8, top=True),
            own(2023, laser, 2),
        ]
    )


def flash(number, samples):
    """One event; samples (n_channels, n_pixels, n_samples)."""
    n_channels, n_pixels, n_samples = samples.shape
    times = struct.pack("<4i", 0, 0, 0, 0)
    trigger = times + struct.pack("<2i", 0, 0) + struct.pack("<hhf", 1, 1, 0.0)
    trigger += struct.pack("<hh", 1, 1) + bytes([1])
    steps = np.diff(samples.astype(int), axis=-1, prepend=0)
    packed = b"".join(signed(int(step)) for step in steps.ravel())
    adc = struct.pack("<ihh", n_pixels, n_channels, n_samples) + packed
    head = item(2011, struct.pack("<2i", number, number) + times + struct.pack("<h", 0), 2, 1)
    camera = item(2201, head + item(2013, adc, 3, 1 << 12), 0, number, container=True)
    tracking = item(2101, struct.pack("<2f", 0.0, 1.2), 0, 1 | 0x100)
    array = item(2009, trigger, 2, number) + camera + tracking
    event = item(2010, array, 0, number, container=True)
    return item(2028, event, 0, 3, top=True, container=True)


def write(path, samples):
    """Write flashes (n_events, n_channels, n_pixels, n_samples) as a simtel file."""
    _, n_channels, n_pixels, n_samples = samples.shape
    parts = [run_header(), simulation_header(), history()]
    parts.append(telescope(n_pixels, n_channels, n_samples))
    parts += [flash(number, event) for number, event in enumerate(samples, 1)]
    path.write_bytes(b"".join(parts))
    return path
