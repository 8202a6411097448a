"""Numerics of the methods that reweight domains while a proxy trains (DoReMi, DoGE).

`weights` (numpy) moves a point on the simplex and averages it; `doremi` and `doge` (torch) are the objectives
that a proxy run is trained under; `domain_gradients` (torch) computes inner products of per-domain gradients,
`with_target` those of a target's blocks beside them. Nothing here imports torch until an objective is asked
for: the workflow reads methods while it builds its DAG.
"""
