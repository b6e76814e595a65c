"""What a study planned and what came out of it: scores, statistics, summary, costs."""
