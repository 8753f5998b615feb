"""Where packages lie on this machine: those of this environment, and those that no answer is to find."""

import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PACKAGES = [  # where a Python keeps what was installed, and conda every environment's and its archive
    f"{top}lib*/python*/*-packages" for top in ("", "local/", "envs/*/", "pkgs/*/")
]


def own() -> list[Path]:
    """List the folders of packages that this environment imports from."""
    paths = sysconfig.get_paths()
    return sorted({*map(Path, (*site.getsitepackages(), paths["purelib"], paths["platlib"]))})


def others(seen: Iterable[str], ours: Iterable[Path]) -> list[Path]:
    """List the folders of packages that are seen with Python and are not this environment's: of its base, of the system, of conda."""
    shown, own = ([Path(path).resolve() for path in paths] for paths in ((*seen, "/lib", "/lib64"), ours))
    roots = {sys.prefix, sys.base_prefix, sys.base_exec_prefix, "/usr", "/", *seen}
    found = {path.resolve() for root in roots for kind in PACKAGES for path in Path(root).glob(kind) if path.is_dir()}
    found = {path for path in found if any(path.is_relative_to(one) for one in shown)}
    return sorted(path for path in found if not any(one.is_relative_to(path) for one in own))
