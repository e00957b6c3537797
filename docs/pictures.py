"""Draw the README's pictures again: train the recipe `co2` in a folder of its own and keep two of its plots."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parent / "images"


def main() -> None:
    """Write `images/co2_comparison.png` and `images/co2_free_run.png`."""
    tidecast = Path(sys.executable).parent / "tidecast"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([tidecast, "train", "co2", "--json", "summary.json"], cwd=folder, check=True)
        summary = json.loads(Path(folder, "summary.json").read_text())
        runs = Path(folder, "artifacts", summary["experiment"])
        chosen = summary["models"][summary["chosen"]]["run_id"]
        PICTURES.mkdir(exist_ok=True)
        for run_id, plot in ((summary["parent_run_id"], "comparison"), (chosen, "free_run")):
            shutil.copy(runs / run_id / "artifacts" / "plots" / f"{plot}.png", PICTURES / f"co2_{plot}.png")


if __name__ == "__main__":
    main()
