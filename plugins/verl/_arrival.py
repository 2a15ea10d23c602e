"""Import one module as soon as another one has been imported.

verl loads its plug-ins at the end of its own import, in all of its processes, and keeps silent
where that fails. Loading its trainers there would cost each worker two seconds, and a failure would
show up as an unknown trainer.
"""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def after_import(awaited: str, wanted: str) -> None:
    """Import `wanted` once `awaited` is there, which may be now.

    What goes wrong is a warning: the program that imports `awaited` may have no use for `wanted`.
    """
    if awaited in sys.modules:
        _import(wanted)
    else:
        sys.meta_path.insert(0, _Awaits(awaited, wanted))


class _Awaits(MetaPathFinder):
    def __init__(self, awaited: str, wanted: str) -> None:
        self.awaited, self.wanted = awaited, wanted

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self.awaited:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Followed(spec.loader, self.wanted)
        return spec


class _Followed(Loader):
    def __init__(self, loader: Loader, wanted: str) -> None:
        self.loader, self.wanted = loader, wanted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _import(self.wanted)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:
        warnings.warn(f"covlaw: {name} can't be imported: {error}", stacklevel=2)
