"""Time-resolved encoders on the ridge's own design: recurrence, attention, and their ablations."""
