"""A step of a run: what it reads, and what it leaves behind."""
