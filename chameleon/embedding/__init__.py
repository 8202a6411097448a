"""Domain embeddings: hidden states of a model, averaged over the windows of a domain."""
