"""Folders of speech that probes may run on beside the dataset's own stimuli."""
