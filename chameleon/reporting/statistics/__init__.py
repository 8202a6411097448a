"""Intervals and probabilities, and what is compared with what."""
