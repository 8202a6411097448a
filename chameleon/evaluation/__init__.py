"""Evaluation of trained models on data that never follows a mixture."""
