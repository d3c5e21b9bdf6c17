"""Atomic writes, digests, manifests, the step cache and the feature store."""
