"""Checkpoints of others: what lets them be finetuned, tested and embedded with as our own decoder is."""
