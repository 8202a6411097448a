"""What happens before the first and after the last job of a run of Snakemake."""
