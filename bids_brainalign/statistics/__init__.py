"""Folds, nulls, multiplicity, intervals (pure arrays)."""
