"""Models of `transformers`, from a checkpoint or from scratch: trained, tested and embedded with as ours."""
