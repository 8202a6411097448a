"""Copy the interpreter that runs this into a prefix: program, standard and shared library, no packages."""

import shutil
import sys
import sysconfig
from pathlib import Path

#: Packages of the machine, what needs a display or compiles extensions, tests; Debian's bar to pip.
SKIPPED = [
    "site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo",
    "config-*", "EXTERNALLY-MANAGED",
]  # fmt: skip

prefix = Path(sys.argv[1])
name = f"python{sysconfig.get_python_version()}"
library = prefix / "lib" / name
shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*SKIPPED))
(library / "site-packages").mkdir()
(prefix / "bin").mkdir(exist_ok=True)
shutil.copy2(Path(sys.executable).resolve(), prefix / "bin" / name)
for alias in ("python", "python3"):
    (prefix / "bin" / alias).symlink_to(name)
if sysconfig.get_config_var("Py_ENABLE_SHARED"):
    shared = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
    shutil.copy2(shared, prefix / "lib" / shared.name)
