"""Assembles the chain: partitions, backfill policy, assets, checks and job, from a universe and a workspace.

It takes its parts as arguments, so tests and faces build the same chain around parts of their own. See `bootstrap` for
settings.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import dagster as dg

from regime_pipeline.pipeline.alert_sensor import build_alert_sensor
from regime_pipeline.pipeline.assets.dashboard_site import build_dashboard_site
from regime_pipeline.pipeline.assets.hourly_chain import Chain, build_chain
from regime_pipeline.pipeline.candle_sources import build_candle_sources
from regime_pipeline.pipeline.catalog import with_links
from regime_pipeline.pipeline.partitions import build_partitions
from regime_pipeline.pipeline.resources import WORKSPACE_KEY, workspace_resource
from regime_pipeline.pipeline.sensors import build_sensors, build_site_sensor, build_webhook_sensor
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import Universe

CHAIN_JOB = "market_chain"
SITE_JOB = "site"
MAX_PARTITIONS_PER_RUN = 2160
"""Ninety days of one market: what a lost run of a `multi_run` backfill costs at most."""


def build_pipeline(
    universe: Universe,
    open_workspace: Callable[[], AbstractContextManager[Workspace]],
    *,
    site: Path | None = None,
    grain: str = "hour",
    backfill: str = "single_run",
    versions: Mapping[str, str] | None = None,
    alert_url: str = "",
    hook: tuple[str, str] = ("", ""),
    alerts: Path | None = None,
    are_sensors_on: bool = True,
    dashboard_url: str = "",
    is_whole_location: bool = True,
) -> dg.Definitions:
    """Return the definitions of the chain.

    Parameters
    ----------
    universe : Universe
        Markets and span of the partitions.
    open_workspace : callable
        Opens what the stages work with; called once per run.
    site : Path
        Folder of the dashboard; the asset `dashboard_site` is there only with one.
    grain : {"hour", "day"}
        Length of a partition.
    backfill : {"single_run", "multi_run"}
        One run per market, or runs of at most 2,160 partitions.
    versions : mapping of str to str, optional
        Hash of the policy behind each asset.
    alert_url : str
        Where failed runs are posted; empty for nowhere.
    hook : tuple of str
        Where verdict changes are posted, and the secret that signs them; empty for nowhere.
    alerts : Path, optional
        The alerts file; the sensor `alert_sensor` is there only with one named.
    are_sensors_on : bool
        Sensors run unless they are turned off; otherwise each is off until it is turned on.
    dashboard_url : str
        Where the dashboard is served, which every asset links to; empty for no link.
    is_whole_location : bool
        Nothing else is in the code location, so that steps of any run may share a process. Otherwise only our own jobs
        say so, and the location's executor is its owner's to choose.
    """
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning):  # backfill policies and code references still say beta
            warnings.simplefilter("ignore", category)
        sources = build_candle_sources(universe)
        chain = Chain(build_partitions(universe, grain), _backfill_policy(backfill), versions or {}, sources)
        sensors = build_sensors(CHAIN_JOB, grain, alert_url, are_sensors_on)
        sensors.append(build_webhook_sensor(*hook, are_sensors_on))
        if alerts is not None:
            sensors.append(build_alert_sensor(alerts, hook[1], are_sensors_on))
        definitions = _definitions(chain, open_workspace, sensors)
        if is_whole_location:
            definitions = dg.Definitions.merge(definitions, dg.Definitions(executor=dg.in_process_executor))
        if site:
            definitions = dg.Definitions.merge(definitions, _site_definitions(site, are_sensors_on))
        return definitions.map_asset_specs(func=partial(with_links, dashboard_url=dashboard_url))


def _definitions(
    chain: Chain,
    open_workspace: Callable[[], AbstractContextManager[Workspace]],
    sensors: list[dg.SensorDefinition],
) -> dg.Definitions:
    assets = build_chain(chain)
    return dg.Definitions(
        assets=[*dg.with_source_code_references(assets), *chain.sources],
        jobs=[
            dg.define_asset_job(
                CHAIN_JOB,
                dg.AssetSelection.assets(*assets),
                description="The whole chain, candles to dashboard rows.",
                executor_def=dg.in_process_executor,
            ),
        ],
        sensors=sensors,
        resources={WORKSPACE_KEY: workspace_resource(open_workspace)},
    )


def _site_definitions(folder: Path, is_sensor_on: bool) -> dg.Definitions:
    site = build_dashboard_site(folder)
    return dg.Definitions(
        assets=dg.with_source_code_references([site]),
        jobs=[
            dg.define_asset_job(
                SITE_JOB,
                dg.AssetSelection.assets(site),
                description="The static dashboard.",
                executor_def=dg.in_process_executor,
            )
        ],
        sensors=[build_site_sensor(SITE_JOB, is_sensor_on)],
    )


def _backfill_policy(name: str) -> dg.BackfillPolicy:
    if name == "multi_run":
        return dg.BackfillPolicy.multi_run(max_partitions_per_run=MAX_PARTITIONS_PER_RUN)
    return dg.BackfillPolicy.single_run()
