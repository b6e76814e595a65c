"""The MLflow mirror, on a store written by hand."""
