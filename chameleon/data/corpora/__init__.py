"""Corpora: where text comes from (one module per kind), and its preparation into clean, split documents."""
