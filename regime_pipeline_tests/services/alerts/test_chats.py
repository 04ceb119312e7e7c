"""What people read: Telegram, Discord, ntfy and mail through apprise, against servers on the loopback."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.alerts.delivery import sender, title_of
from regime_pipeline.services.alerts.events import Alert
from regime_pipeline.services.alerts.rules import EVENTS, Channel
from regime_pipeline_tests.services.alerts.market import END, receiver

ALFA = Market("ALFA-USDT", "1h")
SAID = "ALFA-USDT 1h: stopped by ada_b: <b>fork</b> & *news* _of_ `it`, a < b, cc ann@example.org, @everyone."
ALERT = Alert("stop 1", "stop", ALFA, END, SAID)
TITLE = "regime_pipeline: ALFA-USDT 1h, grid stopped"
CALM = SAID.replace("@everyone", "@\u200beveryone")
"""The same to a reader, and no call to everybody."""
SEND = sender("", lambda: RetryPolicy(lambda _: None, lambda: 0.5, lambda: 0.0, 0.0))
HOSTS = ("https://api.telegram.org", "https://discord.com")


def sent_to(address: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The body of the one request that reaches the service, whose own host is a server here."""
    adapter_type = import_module("requests.adapters").HTTPAdapter  # what apprise sends by
    send = adapter_type.send
    with receiver() as (here, got), monkeypatch.context() as patch:

        def redirected(adapter: Any, request: Any, **options: Any) -> Any:
            for host in HOSTS:
                request.url = request.url.replace(host, f"http://{here}")
            return send(adapter, request, **options)

        patch.setattr(adapter_type, "send", redirected)
        SEND(Channel(name="a", apprise=address.format(here=here)), ALERT)
    (posted,) = got
    return posted[1]


@contextmanager
def mail_server() -> Iterator[tuple[int, list[bytes]]]:
    """A server that takes one mail; its port, and what it got."""
    mails: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: mails.append(one_mail(server)))
        thread.start()
        yield server.getsockname()[1], mails
        thread.join(30)


def one_mail(server: socket.socket) -> bytes:
    """Speak SMTP with one client, and return the mail that it leaves."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 here ESMTP\r\n")
        mail = b""
        for line in lines:
            word = line[:4].upper()
            if word == b"DATA":
                connection.sendall(b"354 go on\r\n")
                mail = b"".join(iter(lines.readline, b".\r\n"))
            connection.sendall(b"221 bye\r\n" if word == b"QUIT" else b"250 well\r\n")
    return mail


def test_telegram_gets_its_markup_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses HTML that it does not know, and such an alert would be tried for a day and never arrive."""
    body = sent_to("tgram://123456789:abcdefg_hijklmnop_qrstuvwxyz_123456/98765/", monkeypatch)

    escaped = CALM.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert (body["chat_id"], body["parse_mode"]) == (98765, "HTML")
    assert body["text"].splitlines() == [f"<b>{TITLE}</b>", escaped]


def test_discord_gets_plain_text_that_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    body = sent_to("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js/", monkeypatch)

    assert body["content"].splitlines() == [TITLE, CALM]
    assert "@everyone" not in str(body)


def test_ntfy_gets_a_title_and_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    body = sent_to("ntfy://{here}/regimes", monkeypatch)

    assert body == {"topic": "regimes", "title": TITLE, "message": CALM}


def test_mail_has_a_subject_of_its_own_and_one_part_of_text() -> None:
    with mail_server() as (port, mails):
        address = f"mailto://127.0.0.1:{port}?from=regime@example.org&to=ada@example.org"
        SEND(Channel(name="a", apprise=address), ALERT)

    message = email.message_from_bytes(mails[0], policy=email.policy.default)
    assert (message["Subject"], message["To"], message.get_content_type()) == (TITLE, "ada@example.org", "text/plain")
    assert message.get_content().split() == CALM.split()


def test_every_event_has_a_title() -> None:
    titles = [title_of(Alert("1", event, ALFA, END, "x")) for event in EVENTS]

    assert len(set(titles)) == len(EVENTS)
    assert all(title.startswith("regime_pipeline: ALFA-USDT 1h, ") for title in titles)
    assert title_of(Alert("1", "failed_run", None, END, "x")) == "regime_pipeline: run failed"
