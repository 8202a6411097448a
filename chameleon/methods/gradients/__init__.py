"""Numerics of the methods that move weights in base training by gradients that the run computes anyway.

`last_layer` (torch) takes one matrix's gradient apart by groups of blocks, `controller` is what the
controllers share, `rnb` and `pike` are their rules. Nothing here is imported until a controller is asked for:
the workflow reads methods while it builds its DAG.
"""
