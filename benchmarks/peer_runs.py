"""One training by one library in a process: `python -m benchmarks.peer_runs LIBRARY < task.json`.

It runs in Tidecast's environment for `tidecast` and `bare` (a loop around `torch.nn.GRU`), and in the environment of
the peers for `neuralforecast` and `darts`. Its last line is a `Trace` as JSON. All train the same network on the same
windows, in float32 on the CPU: one layer of GRU, a linear head on its last state, the mean squared error, Adam (in the
`foreach` form where it is PyTorch's). The peers' loggers, checkpoints, bars and own validation are switched off.
"""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """The training data, the network, and the optimiser.

    `values` are the scaled points. The first `train` of them are trained on, and the next `validation` are forecast one
    step ahead after every pass. Training ends after the pass whose RMSE on these is at most `goal_rmse`, or after all
    `passes`. `spec` is Tidecast's `ModelSpec`; the others use the fields from `hidden` to `seed`, with a constant rate
    and gradients whose norm is clipped at `clip`.
    """

    values: list[float]
    train: int
    validation: int
    length: int
    hidden: int
    batch: int
    passes: int
    rate: float
    clip: float | None
    seed: int
    threads: int
    goal_rmse: float
    spec: dict[str, Any]

    @property
    def pass_steps(self) -> int:
        """Steps of one pass over the training windows."""
        return -(-(self.train - self.length) // self.batch)

    @property
    def steps(self) -> int:
        """Steps of all passes."""
        return self.passes * self.pass_steps

    def windows(self, begin: int, end: int) -> Tensor:
        """Return the windows whose targets are the points `begin` to `end`, each with its target last: [M, T + 1]."""
        return torch.tensor(self.values[begin - self.length : end]).unfold(0, self.length + 1, 1)


@dataclass
class Trace:
    """Seconds of training and RMSE at the end of each pass, and seconds of the whole call.

    The clock starts before the first step, and stops while the RMSE is computed.
    """

    goal_rmse: float
    passes: list[float] = field(default_factory=list)
    rmse: list[float] = field(default_factory=list)
    whole: float = 0.0
    began: float = 0.0

    def start(self) -> None:
        """Start the clock, before the first step."""
        self.began = time.perf_counter()

    def end_pass(self, score: Callable[[], float]) -> bool:
        """Note the end of a pass; return whether the RMSE that `score` computes has reached the goal."""
        arrived = time.perf_counter()
        self.passes.append(arrived - self.began)
        self.rmse.append(score())
        self.began += time.perf_counter() - arrived
        return self.rmse[-1] <= self.goal_rmse


def score(task: Task, predict: Callable[[Tensor], Tensor]) -> float:
    """Return the RMSE of `predict` on the validation windows [M, T, 1]; infinity if there is no validation part."""
    if not task.validation:
        return float("inf")
    windows = task.windows(task.train, task.train + task.validation)
    with torch.no_grad():
        return float((predict(windows[:, :-1, None]).flatten() - windows[:, -1]).square().mean().sqrt())


def bare(task: Task, trace: Trace) -> None:
    """Train with the shortest possible loop: `torch.nn.GRU`, a linear head, batches gathered by index."""
    torch.manual_seed(task.seed)
    gru, head = nn.GRU(1, task.hidden, batch_first=True), nn.Linear(task.hidden, 1)
    weights = [*gru.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, lr=task.rate, foreach=True)
    windows = task.windows(task.length, task.train)

    def predict(x: Tensor) -> Tensor:
        return head(gru(x)[0][:, -1])  # [B, 1]

    trace.start()
    for _ in range(task.passes):
        for indices in torch.randperm(len(windows)).split(task.batch):
            batch = windows[indices]  # [B, T + 1]
            loss = (predict(batch[:, :-1, None]) - batch[:, -1:]).square().mean()
            adam.zero_grad()
            loss.backward()
            if task.clip is not None:
                nn.utils.clip_grad_norm_(weights, task.clip)
            adam.step()
        if trace.end_pass(lambda: score(task, predict)):
            return


def tidecast(task: Task, trace: Trace) -> None:
    """Train with Tidecast's network and loop, which includes its validation."""
    from models.data.panel import one_series
    from models.recurrent import Recurrent
    from models.specs import ModelSpec

    network = Recurrent(ModelSpec(**task.spec))
    train = np.arange(task.length, task.train)
    validation = np.arange(task.train, task.train + task.validation) if task.validation else None
    trace.start()
    for epoch in network.fit(one_series("series", np.array(task.values)), train, validation):
        rmse = float("inf") if epoch.val_loss is None else float(np.sqrt(epoch.val_loss.mean()))
        if trace.end_pass(lambda rmse=rmse: rmse):
            return


def neuralforecast(task: Task, trace: Trace) -> None:
    """Train a `GRU` with a decoder of one linear layer, on unscaled windows; it draws each batch anew."""
    import pandas as pd
    from neuralforecast.losses.pytorch import MSE
    from neuralforecast.models import GRU
    from neuralforecast.tsdataset import TimeSeriesDataset

    no_covariates = {"futr_exog": None, "hist_exog": None, "stat_exog": None}
    model = GRU(
        h=1,
        input_size=task.length,
        encoder_n_layers=1,
        encoder_hidden_size=task.hidden,
        decoder_layers=1,
        loss=MSE(),
        scaler_type="identity",
        max_steps=task.steps,
        windows_batch_size=task.batch,
        random_seed=task.seed,
        learning_rate=task.rate,
        optimizer=torch.optim.Adam,
        optimizer_kwargs={"foreach": True},
        **trainer(task, trace, lambda module, x: module({"insample_y": x, **no_covariates})),
    )
    frame = pd.DataFrame({"unique_id": 0, "ds": np.arange(task.train), "y": task.values[: task.train]})
    model.fit(TimeSeriesDataset.from_df(frame.astype({"y": np.float32}))[0])


def darts(task: Task, trace: Trace) -> None:
    """Train a `BlockRNNModel`, which forecasts from the last state only; `RNNModel` learns from every state."""
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from darts.utils.data.torch_datasets.utils import PLModuleInput

    model = BlockRNNModel(
        model="GRU",
        input_chunk_length=task.length,
        output_chunk_length=1,
        hidden_dim=task.hidden,
        n_rnn_layers=1,
        batch_size=task.batch,
        n_epochs=task.passes,
        random_state=task.seed,
        optimizer_kwargs={"lr": task.rate, "foreach": True},
        pl_trainer_kwargs=trainer(task, trace, lambda module, x: module(PLModuleInput(past_target=x)).prediction),
    )
    model.fit(TimeSeries.from_values(np.float32(task.values[: task.train])))


def trainer(task: Task, trace: Trace, predict: Callable[[Any, Tensor], Tensor]) -> dict[str, Any]:
    """Return Lightning's settings: only the training steps, and a callback for the clock.

    **Arguments:** `predict` calls the Lightning module on windows [M, T, 1].
    """
    import pytorch_lightning

    class Clock(pytorch_lightning.Callback):
        def on_train_start(self, *_: Any) -> None:
            trace.start()

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            if trainer.global_step % task.pass_steps == 0:
                trainer.should_stop = trace.end_pass(lambda: score(task, lambda x: predict(module, x)))

    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    none = {"limit_val_batches": 0, "num_sanity_val_steps": 0, "gradient_clip_val": task.clip}
    return {"accelerator": "cpu", "devices": 1, "callbacks": [Clock()], **dict.fromkeys(off, False), **none}


LIBRARIES = {train.__name__: train for train in (bare, tidecast, neuralforecast, darts)}


def main() -> None:
    """Train for one pass that does not count, so that everything is loaded and compiled; then train and measure."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    library, task = LIBRARIES[sys.argv[1]], Task(**json.load(sys.stdin))
    torch.set_num_threads(task.threads)
    torch.set_flush_denormal(True)
    library(task, Trace(goal_rmse=float("inf")))  # ends after the first pass
    trace = Trace(goal_rmse=task.goal_rmse)
    began = time.perf_counter()
    library(task, trace)
    trace.whole = time.perf_counter() - began
    print("\n" + json.dumps(asdict(trace)))


if __name__ == "__main__":
    main()
