"""Exit with 0 where the Celery worker of this container answers, at a run or idle; Dagster is not loaded for it."""

import os
import socket
import sys

from celery import Celery

ANSWER_S = 5.0
"""How long workers have to answer; all of them are asked, for their names begin with a number of their own."""

with Celery(broker=os.environ["REGIME_CELERY_BROKER"]) as app:
    answers = app.control.ping(timeout=ANSWER_S)
here = f"@{socket.gethostname()}"
sys.exit(not any(name.endswith(here) for answer in answers for name in answer))
