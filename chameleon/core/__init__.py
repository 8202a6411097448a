"""What every wing stands on: errors in one line, atomic checked files, run records, seeds, stage versions."""
