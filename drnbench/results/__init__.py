"""The plan of a study and its results: scores, statistics, summary, costs."""
