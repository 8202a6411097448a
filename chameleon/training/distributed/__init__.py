"""One run trained by several processes: where each stands, and how a model lies on them."""
