"""The config, and what it means for every job: specs and paths. Imports nothing heavy."""
