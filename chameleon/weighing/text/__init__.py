"""The text of the domains: streamed or memory-mapped, and windows drawn from it."""
