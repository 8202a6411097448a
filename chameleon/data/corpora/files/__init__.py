"""The user's own files: which of a folder are read, how their bytes become lines, and lines become rows."""
