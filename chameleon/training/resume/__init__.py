"""What lets a run that was cut off go on: its state on disk, and the signals that ask it to stop."""
