"""Requests to a Prefect server: work pools, deployments with their schedules, workers, and flow runs that were lost."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.catalogue import CATALOGUE, LOCAL_CATALOGUE, ROOT, all_deployments
from flows.services.processes import Children
from flows.services.server_settings import inherited_environment
from models.errors import InputError

if TYPE_CHECKING:  # takes a second
    from prefect.client.orchestration import SyncPrefectClient


def check_api() -> str:
    """Return the URL of the Prefect API, after checking that it answers.

    **Raises:** `InputError` where no server is named, or it does not answer or refuses.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise InputError("a worker needs a Prefect server: set PREFECT_API_URL, or start one with tidecast up")
    try:
        with get_client(sync_client=True) as client:
            client.read_work_pools(limit=1)
    except PrefectHTTPStatusError as refusal:
        status = refusal.response.status_code
        hint = "; set PREFECT_API_AUTH_STRING to its password" if status == httpx.codes.UNAUTHORIZED else ""
        raise InputError(f"the Prefect server at {url} refuses with status {status}{hint}") from None
    except (httpx.HTTPError, RuntimeError) as error:
        raise InputError(f"no Prefect server answers at {url} (PREFECT_API_URL): {error}") from None
    return url


def make_pools(names: Iterable[str]) -> None:
    """Make the work pools that do not exist yet; each of their flow runs is a process."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        for name in names:
            try:
                client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
            except ObjectAlreadyExists:
                continue


def deploy_recipes(children: Children, logs: Path, schedules: bool) -> int:
    """Deploy all recipes, and turn their schedules on or off; returns the number of recipes."""
    from prefect.client.orchestration import get_client

    environment = {**inherited_environment(), "PWD": str(ROOT)}  # where prefect.yaml lets flow runs work
    for path in filter(Path.exists, (CATALOGUE, LOCAL_CATALOGUE)):
        command = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", path.name]
        children.finish(children.start("prefect deploy", command, environment, logs / "deploy.log", 2, ROOT))
    with get_client(sync_client=True) as client:
        return switch_schedules(client, schedules)


def switch_schedules(client: "SyncPrefectClient", on: bool) -> int:
    """Turn the schedules of all recipes on or off; returns the number of recipes."""
    names = {deployment["name"] for deployment in all_deployments()}
    recipes = [deployment for deployment in client.read_deployments() if deployment.name in names]
    for deployment in recipes:
        for schedule in deployment.schedules:
            if schedule.active != on:
                client.update_deployment_schedule(deployment.id, schedule.id, active=on)
    return len(recipes)


def crash_lost_flow_runs(
    client: "SyncPrefectClient", is_gone: Callable[[str], bool], living: Collection[str] = ()
) -> int:
    """Mark as crashed the unfinished flow runs whose worker is gone; returns how many.

    `is_gone` says so of a worker by its name; flow runs whose id is in `living` are left alone. An unfinished run would
    block the next one of its deployment for ever.
    """
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelled, Crashed

    unfinished = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=unfinished)))
    of_workers = [(run, run.labels["prefect.worker.name"]) for run in runs if "prefect.worker.name" in run.labels]
    lost = [run for run, worker in of_workers if is_gone(str(worker)) and str(run.id) not in living]
    for run in lost:
        end = Cancelled if run.state_type == StateType.CANCELLING else Crashed
        client.set_flow_run_state(run.id, end(message="Its process was lost: killed, or the machine went down."))
    return len(lost)


def reporting_workers(client: "SyncPrefectClient", silence: float) -> set[str]:
    """Return the names of the workers, in any pool, whose last heartbeat is at most `silence` seconds old."""
    since = datetime.now(UTC) - timedelta(seconds=silence)
    return {
        worker.name
        for pool in client.read_work_pools()
        for worker in client.read_workers_for_work_pool(pool.name)
        if worker.last_heartbeat_time is not None and worker.last_heartbeat_time > since
    }


def is_online(client: "SyncPrefectClient", pool: str, name: str, since: datetime) -> bool:
    """Return whether a worker has sent a heartbeat after `since`."""
    return any(
        worker.name == name and worker.last_heartbeat_time is not None and worker.last_heartbeat_time > since
        for worker in client.read_workers_for_work_pool(pool)
    )
