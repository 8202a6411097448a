"""How far Chameleon's weights can be trusted: how they move with each of its settings and seeds.

No base model is trained. `study_settings` and `specs.study` of the experiment say what is measured; here
`embed` runs proxies over windows, `weigh` and `spread` turn embeddings into weights and distances, `measure`
writes them as tidy files, `report` shows them.
"""
