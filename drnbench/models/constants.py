"""Numbers that adversarial networks and their schemes share: here, so that a plan knows them without the networks."""

from __future__ import annotations

HALF_RANGE = 127.5
"""Gray levels 0..255 are ±1 inside; what the weights of adversarial methods were chosen for."""
SMALLEST = 4
"""Side in pixels of the smallest image with a discriminator."""
