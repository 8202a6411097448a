"""Build the local channel: what envs/suite.yaml takes from conda, wrapped from this machine's own Python.

    <python with py-rattler-build> channel.py FOLDER

Writes FOLDER/conda-forge with repodata: `python` is the interpreter under this one, copied and relocated;
`pip` is built in an environment of that package, from the wheel that the interpreter brings.
"""

import ensurepip
import platform
import sys
import sysconfig
from pathlib import Path

from rattler_build import RenderConfig, Stage0Recipe, ToolConfiguration

RECIPES = Path(__file__).resolve().parent / "recipes"


def facts() -> dict[str, str]:
    """Return what the recipes are told: the interpreter, its version, and its pip as a wheel."""
    # Distributions may keep the wheels of ensurepip in a folder of their own.
    wheels = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    return {
        "interpreter": str(Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"),
        "python_version": platform.python_version(),
        "wheel": str(next(Path(wheels).glob("pip-*.whl"))),
        "pip_version": ensurepip.version(),
    }


def main() -> None:
    """Build both packages, `python` first: `pip` needs it."""
    channel = Path(sys.argv[1]).resolve() / "conda-forge"
    for name in ("python", "pip"):
        Stage0Recipe.from_file(RECIPES / name / "recipe.yaml").run_build(
            tool_config=ToolConfiguration(test_strategy="native"),
            output_dir=channel,
            channels=[channel.as_uri()],
            # A folder of the machine that built it: not worth the time of a better compression.
            package_format="conda:1",
            render_config=RenderConfig(extra_context=facts()),
        )


if __name__ == "__main__":
    main()
