# SPDX-License-Identifier: Apache-2.0
"""The page's addresses, asked as a browser would, and as an attacker's page would."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lung_pipeline.diagnosis.verdict.rules import RULES, Rule
from lung_pipeline.errors import HounsfieldError
from lung_pipeline.serving.app import make_app
from lung_pipeline.serving.job import DONE, Job, Limits
from lung_pipeline.serving.jobs import Jobs

HERE = "http://127.0.0.1:8421"
LIMITS = Limits(upload_bytes=100_000, num_jobs=2)
HOSTILE = "<script>alert(1)</script>"


async def run(job: Job) -> None:
    """In place of a diagnosis: gives back what was sent, and refuses what says so."""
    sent = job.scan.read_bytes()
    if sent.startswith(b"refuse"):
        raise HounsfieldError(
            value=HOSTILE, place=job.scan.name, rule="it must be HU", cure="Send another."
        )
    job.out.mkdir()
    (job.out / "report.html").write_bytes(b"<!doctype html><title>report</title>" + sent)
    (job.out / "findings.csv").write_text("a,b\n")
    (job.out / ".hidden").mkdir()
    (job.out / ".hidden" / "source").write_text("not for anybody")
    job.move(DONE, verdict="benign", cautions=[])


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def browser(served: Path) -> Iterator[TestClient]:
    app = make_app(Jobs(served, LIMITS, run))
    with TestClient(app, base_url=HERE, headers={"Origin": HERE}) as client:
        yield client


def asked(name: str = "a.zip", size: int = 5) -> dict[str, Any]:
    return {"files": [{"name": name, "bytes": size}]}


def sent(browser: TestClient, content: bytes = b"hello", name: str = "a.zip") -> dict[str, Any]:
    """Send a scan and wait for what becomes of it."""
    made = browser.post("/jobs", json=asked(name, len(content)))
    assert made.status_code == 201
    address = f"/jobs/{made.json()['id']}"
    assert browser.put(f"{address}/0", content=content).status_code == 200
    for _ in range(500):
        status = browser.get(address).json()
        if status["state"] not in ("uploading", "waiting", "running"):
            return status
        time.sleep(0.01)
    pytest.fail(f"still {status['state']}")


def test_the_page_asks_nothing_of_any_other_host(browser: TestClient) -> None:
    page = browser.get("/")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href|action)="([^"]+)"', page.text)
    assert sorted(addresses) == ["/page.css", "/page.js", "data:,"]
    for address in ("/page.css", "/page.js"):
        assert browser.get(address).status_code == 200
        assert not re.search(r"https?://", browser.get(address).text)
    assert "Research use only" in page.text
    assert "noisy-or" in page.text


def test_no_inline_script_or_style_stands_where_the_policy_forbids_it(browser: TestClient) -> None:
    page = browser.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script(?! src)|\son\w+=", page.text)


@pytest.mark.parametrize("address", ["/", "/page.js", "/jobs/nobody", "/nowhere"])
def test_every_answer_carries_the_headers_that_protect_it(
    browser: TestClient, address: str
) -> None:
    headers = browser.get(address).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_a_scan_is_taken_judged_and_its_results_handed_out(browser: TestClient) -> None:
    status = sent(browser)
    assert status["state"] == "done"
    assert status["outcome"]["verdict"] == "benign"
    assert [file["name"] for file in status["files"]] == ["report.html", "findings.csv"]
    report = browser.get(f"/jobs/{status['id']}/files/0")
    assert report.text.endswith("hello")
    # The report's own script may run, and may reach nothing of ours.
    assert "sandbox allow-scripts" in report.headers["content-security-policy"]
    assert "allow-same-origin" not in report.headers["content-security-policy"]
    assert "connect-src" not in report.headers["content-security-policy"]
    table = browser.get(f"/jobs/{status['id']}/files/1")
    assert table.headers["content-disposition"] == 'attachment; filename="findings.csv"'


def test_a_refusal_is_told_in_words_as_plain_data(browser: TestClient) -> None:
    status = sent(browser, b"refuse me", "Plain.nii.gz")
    assert status["state"] == "refused"
    assert status["files"] == []
    assert status["outcome"] == {
        "value": HOSTILE,
        "place": "Plain.nii.gz",
        "rule": "it must be HU",
        "cure": "Send another.",
    }
    answer = browser.get(f"/jobs/{status['id']}")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["../../secret.txt", "../secret.txt.zip", "/etc/passwd.zip"])
def test_nothing_is_written_outside_the_jobs_own_folder(
    browser: TestClient, served: Path, name: str
) -> None:
    before = sorted(served.parent.rglob("*"))
    made = browser.post("/jobs", json=asked(name))
    if made.status_code == 201:
        browser.put(f"/jobs/{made.json()['id']}/0", content=b"hello")
        (job,) = served.iterdir()
        assert {path.name for path in (job / "upload").rglob("*")} <= {"scan.zip"}
    written = {path for path in served.parent.rglob("*") if served not in path.parents}
    assert written == set(before)
    assert (served.parent / "secret.txt").read_text() == "secret"


@pytest.mark.parametrize(
    "tail",
    ["files/2", "files/-1", "files/..%2f..%2fsecret.txt", "files/../../../secret.txt", "files/"],
)
def test_only_results_of_the_job_are_handed_out(browser: TestClient, tail: str) -> None:
    status = sent(browser)
    answer = browser.get(f"/jobs/{status['id']}/{tail}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_scan_too_large_is_refused_before_and_while_it_is_sent(
    browser: TestClient, served: Path
) -> None:
    told = browser.post("/jobs", json=asked(size=LIMITS.upload_bytes + 1))
    assert told.status_code == 422
    assert "at most" in told.json()["outcome"]["rule"]
    assert list(served.iterdir()) == []
    made = browser.post("/jobs", json=asked(size=5)).json()
    answer = browser.put(f"/jobs/{made['id']}/0", content=b"x" * 50_000)
    assert answer.status_code == 422
    assert not any(path.is_file() for path in served.rglob("*"))


def test_a_file_that_is_sent_twice_is_a_conflict_in_words(browser: TestClient) -> None:
    address = f"/jobs/{sent(browser)['id']}"
    answer = browser.put(f"{address}/0", content=b"hello")
    assert answer.status_code == 409
    assert answer.json()["outcome"]["rule"].startswith("a file is taken once")
    assert browser.get(address).json()["state"] == "done"


def test_a_disk_that_takes_no_more_is_told_as_such(browser: TestClient, served: Path) -> None:
    made = browser.post("/jobs", json=asked()).json()
    upload = served / made["id"] / "upload"
    upload.rmdir()
    upload.write_text("a file where the folder must be")
    answer = browser.put(f"/jobs/{made['id']}/0", content=b"hello")
    assert answer.status_code == 507
    assert answer.json()["outcome"]["place"] == "disk of the server"
    # Where the answer is lost with the connection, the page asks here.
    assert browser.get(f"/jobs/{made['id']}").json()["outcome"] == answer.json()["outcome"]


def test_the_page_offers_every_rule_there_is_with_its_hint(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Coin(Rule):
        name = "a coin"
        hint = "heads or <tails>"

    monkeypatch.setitem(RULES, Coin.name, Coin)
    page = browser.get("/").text
    assert 'value="a coin"' in page
    assert "heads or &lt;tails&gt;" in page
    for rule in RULES.values():
        assert rule.hint[:20] in page or rule is Coin


def test_json_that_is_no_request_is_refused(browser: TestClient) -> None:
    for content in (b"", b"{", b"[" * 9_000, b"{" + b" " * 20_000 + b"}", b"\xff\xfe", b"null"):
        assert browser.post("/jobs", content=content).status_code == 422


def test_a_full_queue_says_so(browser: TestClient) -> None:
    for _ in range(LIMITS.num_jobs):
        assert browser.post("/jobs", json=asked()).status_code == 201
    refused = browser.post("/jobs", json=asked())
    assert refused.status_code == 422
    assert refused.json()["outcome"]["rule"] == "at most 2 scans may wait"


def test_a_job_that_is_taken_back_is_gone(browser: TestClient, served: Path) -> None:
    made = browser.post("/jobs", json=asked()).json()
    assert browser.delete(f"/jobs/{made['id']}").json()["state"] == "cancelled"
    assert list(served.iterdir()) == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8421", "127.0.0.1.evil.example", "127.0.0.1@evil.example", ""],
)
def test_another_name_of_this_machine_is_refused(browser: TestClient, host: str) -> None:
    for method, address in (("GET", "/"), ("GET", "/jobs/x"), ("POST", "/jobs")):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert browser.request(method, address, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://127.0.0.1:8421.evil.example",
        "http://evil.example@127.0.0.1:8421",
        "file://127.0.0.1:8421",
        "http://[",
    ],
)
def test_a_change_asked_for_by_another_page_is_refused(
    browser: TestClient, served: Path, origin: str
) -> None:
    made = browser.post("/jobs", json=asked()).json()
    address = f"/jobs/{made['id']}"
    headers = {"Origin": origin}
    assert browser.post("/jobs", json=asked(), headers=headers).status_code == 403
    assert browser.put(f"{address}/0", content=b"hello", headers=headers).status_code == 403
    assert browser.delete(address, headers=headers).status_code == 403
    assert browser.get(address).json()["state"] == "uploading"
    assert len(list(served.iterdir())) == 1


def test_names_that_were_given_are_let_in(served: Path) -> None:
    app = make_app(Jobs(served, LIMITS, run), ("127.0.0.1", "Station7.hospital"))
    with TestClient(app, base_url="http://station7.hospital:8421") as client:
        assert client.get("/").status_code == 200
        with_origin = {"Origin": "http://station7.hospital:8421"}
        assert client.post("/jobs", json=asked(), headers=with_origin).status_code == 201
