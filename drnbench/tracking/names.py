"""Names in MLflow, which allows fewer characters than a study does.

MLflow takes letters, digits and `_ - . : / space` in names of metrics, parameters and tags, and refuses a name that
would be another one as a path (`a//b`, `../a`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from drnbench.config.units import Evaluation

PARAM_LENGTH = 500
"""Characters that a parameter may have: the limit of older servers, far below that of newer ones."""
TAG_LENGTH = 5000
"""Characters that a tag may have: again the smaller limit of the versions in use."""
NAME_LENGTH = 250

NOT_PARAMS = frozenset({"stages", "evaluate", "protocol"})
"""Parts of a configuration that are no parameters. MLflow never lets a parameter change, and the evaluations of a trial may
change under one key; the protocol is a tag."""


def safe(name: str) -> str:
    """Return a name that MLflow takes: `psnr_y/Set5/bd:sigma=2.0` becomes `psnr_y/Set5/bd:sigma_2.0`."""
    name = clipped(name, max(NAME_LENGTH, len(name)))
    parts = (re.sub(r"[^\w.\- :]", "_", part).strip() for part in name.split("/"))
    kept = [part for part in parts if part.strip(".")]
    return "/".join(kept)[:NAME_LENGTH].rstrip("/ ") or "_"


def image(name: str) -> str:
    """Return a name that MLflow takes for an image; it allows no colon there."""
    return re.sub(r"[^a-zA-Z0-9_\-. ]", "_", name)[:NAME_LENGTH]


def clipped(value: str, length: int) -> str:
    """Return the text as every database takes it: cut with an ellipsis where it is longer, without NUL and half surrogates."""
    value = re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    return value if len(value) <= length else value[: length - 1] + "…"


def params(config: Mapping[str, Any], arm: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Flatten a trial's configuration: `method`, `scale`, `model.n_blocks`, `adapt.rho`, `adapt.data.kernel`, ...

    Args:
        config: the trial as plain data.
        arm: name of its arm.
        values: axis values by path; they are already there under their path unless the path is a pattern (`*.lam`).

    """
    flat: dict[str, Any] = {"arm": arm}
    _flatten({k: v for k, v in config.items() if k not in NOT_PARAMS}, "", flat)
    for stage in config.get("stages", []):
        _flatten({k: v for k, v in stage.items() if k != "name"}, f"{stage['name']}.", flat)
    for path, value in values.items():
        flat.setdefault(path.replace("*", "all"), value)
    return {safe(k): clipped(_text(v), PARAM_LENGTH) for k, v in flat.items() if v is not None}


def _flatten(config: Mapping[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for key, value in config.items():
        if isinstance(value, Mapping):
            _flatten(value, f"{prefix}{key}.", into)
        else:
            into[prefix + key] = value


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def scores(wanted: Sequence[Evaluation]) -> dict[str, str]:
    """Return evaluation key -> metric name, such as `psnr_y/Set5/bicubic`; different evaluations keep apart.

    Args:
        wanted: the evaluations of one trial.

    """
    plain = {e.key: safe(f"{e.metric}/{e.dataset}/{e.kernel}") for e in wanted}
    named: dict[str, str] = {}
    for e in wanted:
        name = plain[e.key]
        if list(plain.values()).count(name) > 1:
            name = safe(f"{e.metric}/{_cropped(e)}/{e.kernel}")
        # The same crop of two sources of one name: only their keys tell them apart.
        named[e.key] = name if name not in named.values() else f"{name} {e.key[:8]}"
    return named


def datasets(wanted: Sequence[Evaluation]) -> dict[str, str]:
    """Return evaluation key -> name of its test set, in which different evaluations under one metric and kernel keep apart."""
    plain = {e.key: (e.metric, e.dataset, e.kernel) for e in wanted}
    named: dict[str, str] = {}
    used = set[tuple[str, str, str]]()
    for e in wanted:
        name = _cropped(e) if list(plain.values()).count(plain[e.key]) > 1 else e.dataset
        named[e.key] = name if (e.metric, name, e.kernel) not in used else f"{name} {e.key[:8]}"
        used.add((e.metric, name, e.kernel))
    return named


def _cropped(evaluation: Evaluation) -> str:
    return f"{evaluation.dataset} {'whole' if evaluation.crop is None else f'crop {evaluation.crop}'}"
