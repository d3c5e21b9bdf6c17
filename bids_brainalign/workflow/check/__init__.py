"""``brainalign check``: what a run would find in a dataset. Nothing is computed or written."""
