"""Preparing a corpus in parts that need not know each other: read, gather, choose, write."""
