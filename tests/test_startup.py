"""Imports without the garbage collector leave it as it was."""

import gc
import sys

import pytest

from flows.startup import quick_imports


def load_nothing() -> None:
    with quick_imports():
        assert not gc.isenabled()
        import nothing_of_this_name  # type: ignore[import-not-found]  # noqa: F401


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_rests_meanwhile_and_is_as_before(collects: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(ModuleNotFoundError):
            load_nothing()
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_imported_is_set_aside_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
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
