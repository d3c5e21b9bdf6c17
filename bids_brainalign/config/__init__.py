"""The frozen configuration, its TOML form and the recipes."""
