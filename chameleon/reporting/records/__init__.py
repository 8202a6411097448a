"""Run files to tidy files, tidy files to frames."""
