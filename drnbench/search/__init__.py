"""Adaptive studies: a search instead of a grid.

    config.search    the declaration in a study file: space, objectives, sampler, seeds, pruner
    optuna_adapter   the same in Optuna's terms: samplers, distributions, pruners; the journal, from which a killed search goes on
    candidate        one point of the space, and the best of several
    engine           Optuna's ask and tell over a journal, for any objective
    resolve          a search under one profile: candidates become trials, the winner becomes an arm with fresh seeds
    measure          units and scores of a candidate
    record           results/<study>/search.json, which plan and report read

`drnbench.session.search_source` hands candidates to the coordinator.

The search looks at validation images or at a set declared for it, never at those of the report; the points that it selects
are run again with seeds that no candidate had, and only these numbers stand in tables. Optuna is imported when a search
runs.
"""

from drnbench.config.search import Choice, Float, Int, Maximise, Median, Minimise, Objective, Search, Steps, Wilcoxon

__all__ = ["Choice", "Float", "Int", "Maximise", "Median", "Minimise", "Objective", "Search", "Steps", "Wilcoxon"]
