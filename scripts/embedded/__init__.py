"""How the embedded model is made and measured: see ``scripts/train_embedded_model.py``."""
