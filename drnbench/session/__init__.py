"""What `run` does: the coordinator, the source of units of a search, progress, reproduction."""
