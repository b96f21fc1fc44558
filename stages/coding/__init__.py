"""Coding pairs: tasks, rollouts, evaluation, cascade, masks, execution check."""
