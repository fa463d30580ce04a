# SPDX-License-Identifier: Apache-2.0
"""A failed run is told of: by a file, by a line, and by a webhook that a real server takes."""

# No `from __future__ import annotations`: Dagster compares the annotation of `context` itself.

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lung_pipeline.errors import LostStoreError, ModelError
from lung_pipeline.home import Home
from lung_pipeline.orchestration import alerts
from lung_pipeline.orchestration.alerts import WEBHOOK_VARIABLE, Alert, post_alert, write_alert
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.sensors import alert_of_failed_run, failed_runs

SENTENCE = "The nodule model lung-nodule v1 (abc) changed on disk."
UID = "1.2.840.113619"


@dg.asset
def refused_weights() -> None:
    raise ModelError(value="abc", place=UID, rule="the weights must be whole", cure="Copy them.")


@dg.asset
def broken_code() -> None:
    raise ZeroDivisionError("1 / 0\nand a second line")


@dg.asset
def sound() -> None:
    """Well made, with a check that is not."""


@dg.asset_check(asset=sound, blocking=True)
def revalidation_holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"faults": f"{SENTENCE}\nAnd another."})


@dg.asset_check(asset=sound)
def passes() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"faults": "none"})


@dg.asset
def untellable() -> None:
    """Well made, with a check whose sentences name series."""


@dg.asset_check(asset=untellable, blocking=True)
def whole_series() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"faults": f"{UID}: no slice"})


@dg.asset
def warned() -> None:
    """Well made, with a check that only warns."""


@dg.asset_check(asset=warned, blocking=True)
def only_warns() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


ASSETS = [refused_weights, broken_code, sound, untellable, warned]
JOBS = [dg.define_asset_job(f"{a.key.to_user_string()}_job", [a.key]) for a in ASSETS]


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted; answers as its server is told to."""

    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Content-Type"], json.loads(body)))
        time.sleep(self.server.delay_s)
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


class _Server(http.server.ThreadingHTTPServer):
    answer, delay_s = 200, 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[tuple[str, dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/secret"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(WEBHOOK_VARIABLE, raising=False)
    return Home.at(tmp_path / "home")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One for all, since making it takes seconds; each test watches from its own beginning."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as made:
        yield made


class Watch:
    """The sensor as the daemon evaluates it: tick after tick, each from the cursor of the last."""

    def __init__(self, home: Home, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.cursor: str | None = None
        self.defs = dg.Definitions(
            assets=ASSETS,
            asset_checks=[revalidation_holds, passes, whole_series, only_warns],
            jobs=JOBS,
            sensors=[alert_of_failed_run],
            resources={"home": HomeResource(root=str(home.root))},
        )
        self.tick()

    def tick(self) -> list[Any]:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"home": HomeResource(root=str(self.home.root))},
        )
        told = alert_of_failed_run.evaluate_tick(context)
        self.cursor = told.cursor
        assert all(reaction.error is None for reaction in told.dagster_run_reactions or [])
        return list(told.dagster_run_reactions or [])

    def run(self, asset: str) -> str:
        job = self.defs.resolve_job_def(f"{asset}_job")
        done = job.execute_in_process(instance=self.instance, raise_on_error=False)
        return str(done.run_id)

    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.home.alerts.glob("*.json"))]


@pytest.fixture
def watch(home: Home, instance: dg.DagsterInstance) -> Watch:
    return Watch(home, instance)


def test_refusal_is_told_in_its_own_sentence_without_a_traceback(watch: Watch) -> None:
    run_id = watch.run("refused_weights")
    assert len(watch.tick()) == 1
    (alert,) = watch.alerts()
    assert alert["reasons"] == [
        f"refused_weights: ModelError: {UID}: the weights must be whole, got abc. Copy them."
    ]
    assert (alert["job"], alert["run_id"]) == ("refused_weights_job", run_id)
    assert alert["failed"] == ["refused_weights"]
    assert alert["tellable"] == []
    assert alert["in_words"].startswith("The job refused_weights_job failed (refused_weights)")


def test_other_errors_are_told_by_their_first_line(watch: Watch) -> None:
    watch.run("broken_code")
    watch.tick()
    (alert,) = watch.alerts()
    assert alert["reasons"] == ["broken_code: ZeroDivisionError: 1 / 0"]


def test_failed_check_fails_its_run_and_is_told_in_its_sentences(watch: Watch) -> None:
    watch.run("sound")
    watch.tick()
    (alert,) = watch.alerts()
    assert alert["failed"] == ["revalidation_holds"]
    assert alert["reasons"] == [
        f"revalidation_holds: {SENTENCE}",
        "revalidation_holds: And another.",
    ]
    assert alert["tellable"] == [SENTENCE, "And another."]


def test_warning_is_no_alert(watch: Watch) -> None:
    watch.run("warned")
    assert watch.tick() == []
    assert watch.alerts() == []


def test_each_failed_run_is_told_once(watch: Watch) -> None:
    for asset in ("broken_code", "refused_weights", "warned"):
        watch.run(asset)
    while watch.tick():
        pass
    assert watch.tick() == []
    assert {alert["job"] for alert in watch.alerts()} == {"broken_code_job", "refused_weights_job"}
    assert len(watch.alerts()) == 2


def test_run_whose_process_was_killed_is_told_too(
    watch: Watch, instance: dg.DagsterInstance
) -> None:
    run = instance.create_run_for_job(watch.defs.resolve_job_def("sound_job"))
    instance.report_run_failed(run, message="The process died.")
    watch.tick()
    (alert,) = watch.alerts()
    assert alert["reasons"] == ["The process died."]


def test_alert_is_one_line_of_the_log(watch: Watch, capfd: pytest.CaptureFixture[str]) -> None:
    run_id = watch.run("sound")
    capfd.readouterr()
    watch.tick()
    (line,) = [line for line in capfd.readouterr().err.splitlines() if run_id in line]
    assert f" - ERROR - The job sound_job failed (revalidation_holds), run {run_id}. " in line
    assert SENTENCE in line
    assert "And another." in line


def test_webhook_gets_what_may_leave_the_house(
    watch: Watch, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.address)
    run_id = watch.run("sound")
    watch.tick()
    ((kind, body),) = server.received
    assert kind == "application/json"
    assert body["text"] == (
        f"The job sound_job failed (revalidation_holds), run {run_id}. {SENTENCE} And another."
    )
    assert (body["job"], body["run_id"]) == ("sound_job", run_id)
    assert body["reasons"] == [SENTENCE, "And another."]


@pytest.mark.parametrize("asset", ["refused_weights", "untellable"])
def test_webhook_gets_no_name_of_a_series(
    watch: Watch, server: _Server, monkeypatch: pytest.MonkeyPatch, asset: str
) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.address)
    watch.run(asset)
    watch.tick()
    ((_, body),) = server.received
    assert UID not in json.dumps(body)
    assert UID in watch.alerts()[0]["in_words"]


def test_webhook_that_fails_leaves_file_and_sensor_as_they_are(
    watch: Watch,
    server: _Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server.answer = 500
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.address)
    watch.run("sound")
    watch.tick()
    assert len(watch.alerts()) == 1
    logged = capfd.readouterr().err
    assert "the webhook answered 500" in logged
    assert "secret" not in logged


def test_full_disk_does_not_silence_the_webhook(
    watch: Watch, home: Home, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.root.mkdir()
    home.alerts.write_text("a file where the folder should be")
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.address)
    watch.run("sound")
    watch.tick()
    assert len(server.received) == 1


def test_store_that_is_away_does_not_silence_the_webhook(
    watch: Watch, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LostStoreError(
            value="away", place="s3://lung", rule="it must answer", cure="Start it."
        )

    monkeypatch.setattr(failed_runs, "write_alert", away)
    monkeypatch.setenv(WEBHOOK_VARIABLE, server.address)
    watch.run("sound")
    watch.tick()
    assert len(server.received) == 1


ALERT = Alert("job/with a name", "0123456789", "20261123T020000Z", ("step",), ("why",))


def test_address_that_does_not_answer_is_given_up(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "WEBHOOK_TIMEOUT_S", 0.1)
    server.delay_s = 0.5
    assert post_alert(ALERT, server.address) == "the webhook could not be reached (TimeoutError)"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9/x", "could not be reached"),
        ("http://[", "could not be reached"),
        ("http://127.0.0.1/with a space", "could not be reached"),
        ("http://h\u00f6st\ud800/", "could not be reached"),
        ("file:///etc/passwd", "must be an http or https address"),
        ("hooks.example.org", "must be an http or https address"),
        ("http://", "could not be reached"),
    ],
)
def test_address_that_is_none_is_told_and_not_raised(address: str, said: str) -> None:
    assert said in post_alert(ALERT, address)


def test_same_alert_twice_is_one_file_below_the_home(home: Home) -> None:
    paths = {write_alert(home, ALERT) for _ in range(2)}
    (path,) = paths
    assert path.parent == home.alerts
    assert path.name.startswith("20261123T020000Z-job_with_a_name-")
    assert [one.name for one in home.alerts.iterdir()] == [path.name]
