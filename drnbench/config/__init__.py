"""What a study file declares, as frozen data: trial, study, axes, outputs, search, protocol, overrides, units."""
