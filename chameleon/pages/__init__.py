"""Pages to look at: one self-contained HTML file for a mixture, one for a run of the benchmark."""

from chameleon.pages.mixture import mixture_page
from chameleon.pages.run import run_page

__all__ = ["mixture_page", "run_page"]
