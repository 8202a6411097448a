"""`python -m chameleon`."""

import os
import sys
import weakref

from chameleon.cli import main

code = main()
sys.stderr.flush()
# Not by the interpreter's own end: that takes torch a quarter of a second, and a thread that a library has
# left (Arrow's, of a set that is streamed) can end the process by a signal there, after all its work is done.
# Of what it does, only libraries' temporary folders are to go.
weakref.finalize._exitfunc()  # type: ignore[attr-defined]
os._exit(code)
