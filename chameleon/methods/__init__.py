"""Methods of the suite itself; the methods compared with it are in `baselines`."""
