"""Numerics of methods that judge domains by gradients that a run computes anyway.

`last_layer` (torch) takes one matrix's gradient apart by groups of blocks, `controller` is what the
controllers of the base run share, `rnb` and `pike` are their rules; `in_run` is In-Run Data Shapley's
objective of a proxy run. Nothing here imports torch until it is asked for: the workflow reads methods while
it builds its DAG.
"""
