"""`python -m chameleon`."""

import atexit
import os
import sys

from chameleon.cli import main

code = main()
# Libraries' temporary folders go here.
atexit._run_exitfuncs()
sys.stderr.flush()
# Not by the interpreter's own end: that takes torch a quarter of a second, and a thread that a library has
# left (Arrow's, of a set that is streamed) can end the process by a signal there, after all its work is done.
os._exit(code)
