"""Constants of adversarial networks and their schemes, in a module that a plan imports without the networks."""

from __future__ import annotations

HALF_RANGE = 127.5
"""Half of the range of gray levels: networks see 0..255 as ±1, for which the weights of adversarial losses were chosen."""
SMALLEST = 4
"""Side in pixels of the smallest image with a discriminator."""
