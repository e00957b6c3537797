"""Imports without the garbage collector."""

import gc
import sys

import pytest

from flows.startup import quick_imports


def import_nothing() -> None:
    with quick_imports():
        assert not gc.isenabled()
        import nothing_of_this_name  # type: ignore[import-not-found]  # noqa: F401


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_is_off_while_the_block_imports_and_as_before_after_it(was_enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_enabled else gc.disable)()
        with pytest.raises(ModuleNotFoundError):
            import_nothing()
        assert gc.isenabled() == was_enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_objects_are_exempted_from_collection_only_if_something_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    before = gc.get_freeze_count()
    try:
        with quick_imports():
            pass
        assert gc.get_freeze_count() == before
        with quick_imports():
            import colorsys  # noqa: F401
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
