"""Weigh a user's own domains with a pretrained model: no training, an answer in minutes.

Text streams by once or is there as token shards (`text`); a model (`models`, `embedder`) turns windows into
vectors; `kernel` makes weights of them, `intervals` says how sure they are and
`advice` what to be wary of. `api` is what is called.
"""
