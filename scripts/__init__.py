"""Commands for those who develop the package; nothing here is installed."""
