"""Features onto the response clock (pure arrays)."""
