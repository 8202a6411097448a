"""The kinds of corpora (`kind:` in the config), one module each: importing it registers the kind."""
