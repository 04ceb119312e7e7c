"""`regime benchmark` and `regime verify-causality`: judge the engine against baselines, measure its speed.

See `evaluation` for accuracy and causality, the repository's `benchmarks/` for speed.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.table import Table

from regime_pipeline.cli.console import PARTLY_DONE, err, out, progress_bar
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.evaluation import restart_report as gates_report
from regime_pipeline.evaluation.accuracy_report import summarize, to_json, to_markdown
from regime_pipeline.evaluation.causality import CausalityReport, verify_causality
from regime_pipeline.evaluation.datasets import DIFFICULTIES, REPORTING_SEEDS, TUNING_SEEDS
from regime_pipeline.evaluation.restart_rules import RESTART_SEEDS
from regime_pipeline.evaluation.runner import Lengths, available_methods, judge
from regime_pipeline.policy import default_policy, load_policy
from regime_pipeline.services.chain.workspace import system_clock
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.services.null_table import default_null_table, load_null_table
from regime_pipeline.sources.files.layouts import ReadOptions


def verify_command(
    files: Annotated[list[Path], typer.Argument(help="Candle files, as `regime import` takes them.")],
    market: Annotated[str, typer.Option(help="Whose candles they are, e.g. BTC-USDT_1h.")],
    policy: Annotated[Path | None, typer.Option(help="A policy.toml of your own.")] = None,
    null_table: Annotated[Path | None, typer.Option(help="The null table made for that policy.")] = None,
    drop_unaligned: Annotated[
        bool, typer.Option("--drop-unaligned", help="Leave out bars that open between two bars of the timeframe.")
    ] = False,
    cuts: Annotated[int, typer.Option(min=1, max=100, help="Places at which the candles are cut.")] = 5,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print the report.")
    ] = "table",
) -> None:
    """Verify that no regime and no verdict of your candles depends on later candles; exit code 3 if one does.

    Example: regime verify-causality BTCUSDT-1h-*.zip --market BTC-USDT_1h
    """
    plan = read_files(files, Market.parse(market), ReadOptions(is_dropping_unaligned=drop_unaligned), system_clock())
    report = verify_causality(
        plan.candles,
        load_policy(policy) if policy else default_policy(),
        load_null_table(null_table) if null_table else default_null_table(),
        cuts,
    )
    if output_format == "json":
        content = {**asdict(report), "is_causal": report.is_causal}
        typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(report)
    if not report.is_causal:
        raise typer.Exit(PARTLY_DONE)


def _print(report: CausalityReport) -> None:
    table = Table(
        title=f"{report.market}: {report.candles:,} candles, policy {report.policy_hash}", title_justify="left"
    )
    for name in ("output", "recomputed with", "rows", "columns", "rows that differ", "first differences"):
        table.add_column(name, justify="right" if name in ("rows", "columns", "rows that differ") else "left")
    for check in report.checks:
        rows = f"{check.rows:,}" if check.rows else "too few candles"
        said = "; ".join(check.examples)
        table.add_row(check.output, check.name, rows, str(check.columns), f"{check.differing:,}", said)
    out.print(table)
    verdict = "[green]No row depends on the future.[/]" if report.is_causal else "[red]Rows depend on the future.[/]"
    out.print(verdict, markup=True)


benchmark_app = typer.Typer(
    name="benchmark", help="Compare accuracy with baseline models; measure speed.", no_args_is_help=True
)
_SPEED = ("candles", "verdicts")
_QUICK = Lengths(train=1_500, embargo=100, test=900)
_SEEDS = {"reporting": REPORTING_SEEDS, "tuning": TUNING_SEEDS}


@benchmark_app.command("accuracy")
def accuracy_command(
    seeds: Annotated[
        Literal["reporting", "tuning"],
        typer.Option(help="Which seeds; thresholds may be chosen on the tuning ones only."),
    ] = "reporting",
    markets: Annotated[int, typer.Option(min=2, max=40, help="Markets per difficulty.")] = 12,
    peers: Annotated[
        bool, typer.Option(help="Also fit the baseline models (hmmlearn, jumpmodels, statsmodels, ruptures).")
    ] = True,
    jobs: Annotated[int, typer.Option(min=0, max=64, help="Worker processes; 0 works in this one.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Short markets: a look, not a result.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for accuracy.md and accuracy.json.")] = Path("docs"),
) -> None:
    """Compare verdicts and 3D regimes with baseline models on labelled markets and driftless walks; write the report.

    Example: regime benchmark accuracy --markets 12 --output docs
    """
    policy, lengths = default_policy(), _QUICK if quick else Lengths()
    methods, absent = available_methods(policy, peers)
    chosen = list(_SEEDS[seeds])[:markets]
    order = sorted(DIFFICULTIES, key=lambda difficulty: difficulty != "medium")  # driftless walks go with the first
    with progress_bar() as progress:
        bar = progress.add_task("judging", total=len(order) * len(chosen))
        results = judge(
            policy, order, chosen, with_peers=peers, jobs=jobs, lengths=lengths,
            tell=lambda done, of: progress.update(bar, completed=done, total=of),
        )  # fmt: skip
    summary = summarize(results, methods, absent)
    command = " ".join(["regime benchmark accuracy", *sys.argv[3:]])
    output.mkdir(parents=True, exist_ok=True)
    (output / "accuracy.md").write_text(to_markdown(summary, command, lengths), "utf-8")
    (output / "accuracy.json").write_bytes(orjson.dumps(to_json(results, summary), option=orjson.OPT_INDENT_2))
    for name, goal in summary["goals"].items():
        out.print(f"{name}: {goal['value']:.3f} (goal {goal['goal']}, best baseline {goal['baseline_value']:.3f})")
    err.print(f"Wrote {output / 'accuracy.md'} and {output / 'accuracy.json'}.", highlight=False)


@benchmark_app.command("gates")
def gates_command(
    markets: Annotated[int, typer.Option(min=1, max=12, help="Simulated markets.")] = 12,
    bars: Annotated[int, typer.Option(min=1_500, max=50_000, help="Hourly bars of each.")] = 6_000,
    candles: Annotated[list[Path] | None, typer.Option(help="Files of real candles; with --market.")] = None,
    market: Annotated[str, typer.Option(help="What the files hold, SYMBOL_TIMEFRAME.")] = "ETH-USDT_1h",
    jobs: Annotated[int, typer.Option(min=0, max=64, help="Worker processes; 0 works in this one.")] = 2,
    output: Annotated[Path, typer.Option(help="Folder for restart-gates.md and restart-gates.json.")] = Path("docs"),
) -> None:
    """Judge restart gates after labelled stops, and grids always on, gated and filtered; write the report.

    Example: regime benchmark gates --candles ETHUSDT-1h.csv --market ETH-USDT_1h
    """
    policy, seeds = default_policy(), list(RESTART_SEEDS)[:markets]
    options = ReadOptions(is_dropping_unaligned=True)
    read = read_files(candles, Market.parse(market), options, system_clock()).candles if candles else None
    with progress_bar() as progress:
        picked = {kind: list(theirs)[:markets] for kind, (_, theirs) in gates_report.OTHERS.items()}
        bar = progress.add_task("judging", total=len(seeds) + sum(map(len, picked.values())))
        judge = partial(gates_report.judge_seeds, policy, bars=bars, jobs=jobs, tell=lambda: progress.advance(bar))
        simulated = judge(seeds)
        others = {kind: judge(theirs, kind=kind) for kind, theirs in picked.items()}
    real = [] if read is None else [gates_report.judge_candles(policy, read)]
    output.mkdir(parents=True, exist_ok=True)
    command = " ".join(["regime benchmark gates", *sys.argv[3:]])
    page = gates_report.to_markdown(command, seeds, bars, simulated, others, real)
    (output / "restart-gates.md").write_text(page, "utf-8")
    content = orjson.dumps(gates_report.to_json(simulated, others, real), option=orjson.OPT_INDENT_2)
    (output / "restart-gates.json").write_bytes(content)
    own = gates_report.summarize(simulated)["the restart gates"]
    out.print(f"false restarts: {own['false restarts'][0]:.0%}, median wait: {own['median_wait_bars']:.0f} bars")
    err.print(f"Wrote {output / 'restart-gates.md'} and {output / 'restart-gates.json'}.", highlight=False)


@benchmark_app.command("speed")
def speed_command(
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds; docs/benchmarks.md is not written.")] = False,
) -> None:
    """Measure the engine beside row-by-row pandas versions of the same definitions (needs the repository).

    Example: regime benchmark speed --quick
    """
    if not Path("benchmarks/candles.py").is_file():
        raise UsageError("The speed benchmarks are part of the repository.", "Run this at the top of a clone of it.")
    for name in _SPEED:
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own modules
            raise UsageError(f"The benchmark {name} failed; its own words are above.")
