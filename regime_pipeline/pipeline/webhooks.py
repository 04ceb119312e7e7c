"""The sensor that tells verdict changes to a webhook; its cursor is the memory of what has been told.

What is told, and how, stands in `services.verdict_hooks`.
"""

import json
import random
import time

import dagster as dg

from regime_pipeline.pipeline.resources import WORKSPACE_KEY
from regime_pipeline.services.verdict_hooks import deliver, tell_changes
from regime_pipeline.services.workspace import Workspace
from regime_pipeline.sources.exchange_retry import Patience

_LIMIT_S = 30.0


def build_webhook_sensor(url: str, secret: str) -> dg.SensorDefinition:
    """Return the sensor; without a URL it does nothing.

    Parameters
    ----------
    url : str
        Where changes are posted.
    secret : str
        What they are signed with.
    """

    @dg.sensor(
        name="verdict_webhook_sensor",
        minimum_interval_seconds=30,
        required_resource_keys={WORKSPACE_KEY},
        description="Posts every verdict change to REGIME_HOOK_URL, signed with REGIME_HOOK_SECRET.",
    )
    def verdict_webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not url:
            return dg.SkipReason("REGIME_HOOK_URL is not set.")
        workspace: Workspace = getattr(context.resources, WORKSPACE_KEY)
        patience = Patience(time.sleep, random.random, time.monotonic, _LIMIT_S)
        memory = json.loads(context.cursor) if context.cursor else {}
        new, told, failure = tell_changes(workspace, memory, lambda change: deliver(url, secret, change, patience))
        context.update_cursor(json.dumps(new))
        if failure:
            context.log.warning(failure)
        return dg.SkipReason(f"{told} changes told." + (f" {failure}" if failure else ""))

    return verdict_webhook_sensor
