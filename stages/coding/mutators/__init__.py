"""Small bugs of the kind people write, as edits of the source text: layout and comments stay as they are."""

from __future__ import annotations

from contextrl_data.stages.coding.mutators import calls, conditions, statements, values
from contextrl_data.stages.coding.mutators.source import Edit, Function, Module, Mutator, functions_of

MUTATORS: tuple[tuple[str, Mutator], ...] = (
    *conditions.MUTATORS,
    *values.MUTATORS,
    *calls.MUTATORS,
    *statements.MUTATORS,
)
"""Every mutator with the name of its strategy."""

STRATEGIES: tuple[str, ...] = tuple(name for name, _ in MUTATORS)

__all__ = ["MUTATORS", "STRATEGIES", "Edit", "Function", "Module", "Mutator", "functions_of"]
