"""Numbers that papers and their repositories print, each with where it stands and how sure it is.

Only what could be recovered is here; what is missing was not found and is not filled in. Nothing here was
measured by this suite. Read by the `fixed` method and by the table that sets published numbers beside ours.
"""

from chameleon.published.tables import CONFIDENCE, Mixture, PublishedTable, mixture, mixtures, table, tables

__all__ = ["CONFIDENCE", "Mixture", "PublishedTable", "mixture", "mixtures", "table", "tables"]
