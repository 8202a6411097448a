"""Jobs done on another machine: what it needs goes there in one file, what came out comes back in one.

At home, where Snakemake is, `carry` asks its graph for the jobs that train and measure; there `play` does
them with torch, numpy and transformers alone; at home `merge` puts the results where the workflow takes them
for done.
"""
