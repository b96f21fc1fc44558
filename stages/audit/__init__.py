"""The audit of a dataset of pairs: what a blind reader could use, what is double, what is a benchmark's.

The per-pair guessers are named here, since selection, splits and cards use them; everything else is imported by module.
"""

from contextrl_data.stages.audit.baselines import (
    Baseline,
    BaselineResult,
    blind_scores,
    default_baselines,
    summarise,
    table,
    wilson_interval,
)

__all__ = [
    "Baseline",
    "BaselineResult",
    "blind_scores",
    "default_baselines",
    "summarise",
    "table",
    "wilson_interval",
]
