"""Numerics of methods that ask what each domain did for a target while a proxy trained on all of them.

`in_run` is the objective of In-Run Data Shapley and the step from values to weights. It imports torch when a
step asks for it: the workflow reads methods while it builds its DAG.
"""
