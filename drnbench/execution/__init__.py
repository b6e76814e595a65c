"""Running units: one process each, on this machine or another, behind one small interface."""
