"""Mixture regression: sample mixtures, learn mixture -> loss from small runs, search the fitted function.

Used by the method `regmix` and by `python -m chameleon regress`. Importing it loads numpy only.
"""
