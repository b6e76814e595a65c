"""Imports of the fork server, so that no worker pays for them: torch, the models, the schemes, the evaluator."""

from __future__ import annotations

import warnings

import pandas as pd  # noqa: F401
import pyarrow.parquet  # noqa: F401
import skimage.metrics
import torch._dynamo  # noqa: F401 - the first optimiser step of every process imports it

import drnbench.execution.compute
import drnbench.execution.worker
import drnbench.models.dbpn
import drnbench.models.drn
import drnbench.models.dual
import drnbench.models.edsr
import drnbench.models.gan  # noqa: F401
from drnbench.degradations import kernels
from drnbench.errors import PlugInWarning
from drnbench.evaluation import metrics
from drnbench.models import models
from drnbench.schemes import schemes
from drnbench.store.code import ROOTS, code_fingerprint

# The coordinator has reported a broken plug-in; its workers do not repeat it.
warnings.simplefilter("ignore", PlugInWarning)
# Registries load when they are first asked, and scikit-image when a name is first used: do both before the fork.
for registry in (models, schemes, kernels, metrics):
    registry.list()
for kind in ROOTS:  # of the code that was imported, should it be edited while a run goes on
    code_fingerprint(kind)
_ = skimage.metrics.structural_similarity
