"""From text to batches: corpora, the tokenizer, token shards, and the sampler that draws blocks from them."""
