"""The decoder and how it is trained: one loop for proxies, extra runs and base models."""
