"""The command `tidecast recipes`."""

from rich.console import Console
from rich.table import Table

from flows.catalogue import all_recipes
from models.specs import RECURRENT


def recipes() -> None:
    """List the recipes that can be trained and backtested."""
    table = Table("recipe", "models", "description", box=None)
    for recipe in all_recipes().values():
        table.add_row(recipe.name, ", ".join(recipe.parameters.get("models", RECURRENT)), recipe.description)
    Console().print(table)
