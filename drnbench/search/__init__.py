"""Adaptive studies: a search instead of a grid.

    declare     what a study file says: space, objectives, sampler, seeds, pruner
    terms       the same in Optuna's terms: samplers, distributions, pruners
    engine      Optuna's ask and tell over a journal, for any objective; `drive` runs a plain function with it
    journal     the file that a killed search goes on from
    settle      a search under one profile: candidates become trials, the winner becomes an arm with fresh seeds
    measure     what a candidate scored, from the store
    source      candidates as units of work for the coordinator
    record      results/<study>/search.json, which plan and report read

The search looks at validation images or at a set declared for it, never at those of the report; what it finds is run
again with seeds that no candidate had, and only these numbers stand in tables. Optuna is imported when a search runs.
"""

from drnbench.config.search import Choice, Float, Int, Maximise, Median, Minimise, Objective, Search, Steps, Wilcoxon

__all__ = ["Choice", "Float", "Int", "Maximise", "Median", "Minimise", "Objective", "Search", "Steps", "Wilcoxon"]
