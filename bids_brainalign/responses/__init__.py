"""A Recording → a Response: high gamma from iEEG, BOLD from fMRIPrep."""
