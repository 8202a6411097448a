"""Data mixing for language-model training: KRLS domain weights and a fair comparison of methods.

Data flows one way: corpora -> tokens -> proxy -> embeddings -> weights -> base training ->
evaluation -> tables and figures. A module imports only from its left. Importing the package
imports nothing heavy, so that Snakemake can parse the workflow without torch.
"""

__version__ = "0.1.0"
