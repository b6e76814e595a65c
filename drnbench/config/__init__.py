"""Declarations of a study file as frozen data: trial, study, axes, outputs, search, protocol, overrides, units."""
