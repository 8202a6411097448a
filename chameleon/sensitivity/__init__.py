"""How far Chameleon's weights can be trusted: how they move with each of its settings and seeds.

No base model is trained. `settings` and `plan` say what is measured, `embed` runs proxies over windows,
`weigh` and `spread` turn embeddings into weights and distances, `measure` writes them as tidy files,
`tables` and `figures` show them.
"""
