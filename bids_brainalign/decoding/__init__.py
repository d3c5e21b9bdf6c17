"""From responses back to the embedding of the speech that was heard (arrays only)."""
