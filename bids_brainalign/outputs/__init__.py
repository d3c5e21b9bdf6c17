"""The only writer under output_dir: names, sidecars, provenance."""
