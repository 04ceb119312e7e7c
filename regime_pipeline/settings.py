"""What a deployment may set about its surroundings, from the environment; composition roots read it once.

See `policy` for the thresholds of the engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.storage.urls import libpq_url

_PREFIX = "REGIME_"
_DEFAULT_HOME = Path(".regime")


class Settings(BaseSettings):
    """The settings: environment variables `REGIME_<FIELD>`, or keyword arguments, which win.

    An empty variable counts as unset. Relative paths are taken from the current directory at the time of reading.

    Raises
    ------
    UsageError
        A value is not allowed; names each variable, the value (never a URL) and what is allowed.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, validate_default=True
    )

    home: Path = Field(_DEFAULT_HOME, description="Directory of everything this installation writes.")
    database_url: str | None = Field(
        None, repr=False, description="PostgreSQL 15 or newer for our tables; the embedded server when unset."
    )
    dagster_database_url: str | None = Field(
        None, repr=False, description="Database of Dagster's instance; beside ours when unset."
    )
    postgres_account: str = Field(
        "nobody", min_length=1, description="Unprivileged account that runs the embedded server when the user is root."
    )
    markets: Path = Field(
        default_factory=lambda fields: _default_markets(fields["home"]),
        description="List of the markets; `markets.toml` in the home (of the default home: in the current directory).",
    )
    policy: Path | None = Field(None, description="File of thresholds; the packaged one when unset.")
    partition_start: AwareDatetime | None = Field(
        None, description="First hour of the partitions, with its UTC offset; overrides the markets file."
    )
    partition_end: AwareDatetime | None = Field(
        None, description="End of the partitions (exclusive), with its UTC offset; overrides the markets file."
    )
    partition: Literal["hour", "day"] = Field("hour", description="Length of a partition.")
    backfill: Literal["single_run", "multi_run"] = Field("single_run", description="How a backfill is cut into runs.")
    dagster_events: Literal["bulk", "stock"] = Field(
        "bulk", description="How Dagster's events are stored: a batch in one transaction, or as Dagster does it."
    )
    run_start: Literal["fork", "stock"] = Field(
        "fork", description="How runs of this machine start: as forks of a preloaded process, or as Dagster does it."
    )
    snapshot_root: str = Field(
        default_factory=lambda fields: str(fields["home"] / "snapshots"),
        description="Where snapshot files are kept: a path or any fsspec URL.",
    )
    sensors: bool = Field(True, description="Sensors run unless turned off; if false, each is off until turned on.")
    alerts: Path = Field(
        default_factory=lambda fields: fields["home"] / "alerts.toml",
        description="Who is notified of what: channels, rules by market, quiet hours; nobody without the file.",
    )
    api_cors: str = Field(
        "", description="Origins whose web pages may use the HTTP API, separated by commas; none when unset."
    )
    ui_hosts: str = Field(
        "", description="Names of Dagster's UI, as of a proxy in front, separated by commas; addresses always work."
    )
    alert_url: str = Field("", repr=False, description="Webhook that failed runs are posted to; none when unset.")
    exchange_url: str = Field("", description="Replaces scheme and host of every exchange: a simulator or a proxy.")
    hook_url: str = Field("", repr=False, description="Webhook that verdict changes are posted to; none when unset.")
    hook_secret: str = Field("", repr=False, description="What those posts are signed with (HMAC-SHA256).")
    hook_request_hours: int = Field(
        24, ge=1, le=8760, description="Hours after which the request id of a webhook is forgotten."
    )
    dashboard_url: str = Field(
        "", description="Where the dashboard is served, for links in Dagster's catalog; none when unset."
    )
    archive_url: str = Field(
        "https://data.binance.vision", min_length=1, description="Where the bulk archive's `data/spot` tree stands."
    )
    exchange_timeout_seconds: float = Field(
        20.0, gt=0, le=600, description="Time limit of one request to an exchange or archive."
    )
    simulation_seed: int = Field(7, ge=0, description="Seed of the market simulator.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _usage_error(error) from None

    @property
    def dagster_home(self) -> Path:
        """Directory of Dagster's instance."""
        return self.home / "dagster"

    @property
    def ui_host_names(self) -> list[str]:
        """`ui_hosts` one by one, as the Host header is compared with them."""
        return [name.strip().lower() for name in self.ui_hosts.split(",") if name.strip()]

    @field_validator("home", "markets", "policy", "alerts")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("snapshot_root")
    @classmethod
    def _absolute_unless_url(cls, root: str) -> str:
        return root if "://" in root else str(Path(root).expanduser().absolute())

    @field_validator("database_url", "dagster_database_url")
    @classmethod
    def _postgres_url(cls, url: str | None, field: ValidationInfo) -> str | None:
        try:
            return None if url is None else libpq_url(url)
        except UsageError as error:  # raised as it is: pydantic's finding would repeat the password
            raise UsageError(f"{_PREFIX}{field.field_name}: ".upper() + error.what, error.todo) from None


def _default_markets(home: Path) -> Path:
    """Return the markets file of the home; the default home shares that of the current directory unless it has one."""
    own = home / "markets.toml"
    is_shared = home == _DEFAULT_HOME.absolute() and not own.exists()
    return Path("markets.toml") if is_shared else own


def _usage_error(error: ValidationError) -> UsageError:
    """Turn pydantic's findings into one sentence each."""
    faults = []
    for fault in error.errors():
        if fault["type"] == "default_factory_not_called":  # the consequence of another fault
            continue
        name = f"{_PREFIX}{fault['loc'][0]}".upper()
        rule = fault["msg"].partition(", unable")[0]
        faults.append(f"{name} is {fault['input']!r}: {rule[:1].lower()}{rule[1:]}.")
    return UsageError(" ".join(faults), "Correct or unset it.")
