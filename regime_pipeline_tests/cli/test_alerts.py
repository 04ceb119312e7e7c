"""Tests of `regime alerts`: channels tried over HTTP, a wrong file refused, what was sent listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.settings import Settings
from regime_pipeline_tests.cli import fixtures as cli_kit
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.services.alerts.market import receiver

pytestmark = pytest.mark.slow


def test_channels_are_tried_and_sent_alerts_listed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def regime(*words: str) -> tuple[int, str]:
        code = cli_kit.regime(monkeypatch, *words)
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    monkeypatch.setenv("REGIME_HOME", str(home))
    monkeypatch.setenv("REGIME_HOOK_SECRET", "s3cret")
    (home / "markets.toml").write_text((REPOSITORY / "markets.toml").read_text("utf-8"), "utf-8")
    code, said = regime("alerts", "test")
    assert code == 2
    assert "has no channels. Write one; docs/operate.md has an example." in said

    with receiver() as (hook, posted), receiver(200, 500) as (chat, got):
        (home / "alerts.toml").write_text(
            f'[[channels]]\nname = "hook"\nwebhook = "http://{hook}/"\n'
            f'[[channels]]\nname = "chat"\napprise = "json://{chat}/"\n'
            '[[rules]]\nchannels = ["hook"]\nevents = ["stop", "outside"]\n',
            "utf-8",
        )
        code, said = regime("alerts", "test")
        assert (code, len(posted), len(got)) == (0, 1, 1)
        assert "hook: sent; it gets stop, outside of *." in said
        assert "chat: sent; no rule names it." in said
        assert posted[0][1]["event"] == "test"
        assert posted[0][1]["message"] == "A test of the channel hook: it gets stop, outside of *."

        code, said = regime("alerts", "test", "chat")
        assert (code, len(posted)) == (3, 1)
        assert "chat: failed. The service did not take the message." in said
    code, said = regime("alerts", "test", "fax")
    assert code == 2
    assert "There is no channel 'fax'. There are hook, chat." in said

    with open_workspace(Settings()) as ws:
        ws.warehouse.alerts.claim("a 1", "chat", "ALFA-USDT: the grid was stopped.")
        ws.warehouse.alerts.settle("a 1", "chat")
    assert "│ chat │ ALFA-USDT: the grid was stopped." in regime("alerts", "log")[1]
    (row,) = json.loads(regime("alerts", "log", "--format", "json")[1])
    assert (row["alert_id"], row["channel"]) == ("a 1", "chat")
    assert "1 rules on 2 channels" in regime("doctor")[1]
