"""One module per source whose text needs cleaning of its own; each has `read(members, **parameters)`."""
