# SPDX-License-Identifier: Apache-2.0
"""Starting a backfill: subsets become partitions, then Dagster's daemon is given the wish.

Belongs here: what changes something in Dagster. Does not belong here: looking on.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lung_pipeline.ct.subset_names import checked_subset_name
from lung_pipeline.errors import ServiceError
from lung_pipeline.orchestration.backfill.catalog import Catalog
from lung_pipeline.orchestration.backfill.webserver import Webserver
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS

SILENT_FOR_S = 300.0
"""A daemon says each half minute that it lives; Dagster itself waits half an hour for it."""

_HEALTH = """{ instance { daemonHealth { daemonStatus(daemonType: "BACKFILL") {
    healthy lastHeartbeatTime
} } } }"""

_ADD = """mutation ($repository: RepositorySelector!, $definition: String!, $key: String!) {
  addDynamicPartition(
    repositorySelector: $repository, partitionsDefName: $definition, partitionKey: $key
  ) { __typename ... on PythonError { message } ... on UnauthorizedError { message } }
}"""

_LAUNCH = """mutation ($wish: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $wish) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}"""


def refuse_without_daemon(webserver: Webserver) -> None:
    """``ServiceError`` where no daemon lives that would carry out a backfill."""
    health = webserver.ask(_HEALTH)["instance"]["daemonHealth"]["daemonStatus"]
    beat = health["lastHeartbeatTime"]
    silent_s = time.time() - beat if beat else None
    if health["healthy"] and silent_s is not None and silent_s < SILENT_FOR_S:
        return
    raise ServiceError(
        value="no word from it yet" if silent_s is None else f"silence for {silent_s:.0f} s",
        place=webserver.url,
        rule="a Dagster daemon must be alive to carry out a backfill",
        cure="Start it with the web server's DAGSTER_HOME: `dagster-daemon run -w workspace.yaml`.",
    )


def register(webserver: Webserver, catalog: Catalog, subsets: Sequence[str]) -> list[str]:
    """Make partitions of the subsets that are none yet; returns those."""
    new = [checked_subset_name(one) for one in subsets if one not in catalog.subsets]
    for subset in new:
        added = webserver.ask(
            _ADD, repository=catalog.repository, definition=LUNA_SUBSETS.name, key=subset
        )["addDynamicPartition"]
        # The sensor may have been faster: then it stands there, as it should.
        if added["__typename"] not in (
            "AddDynamicPartitionSuccess",
            "DuplicateDynamicPartitionError",
        ):
            raise _refused(webserver, f"add the partition {subset}", added)
    return new


def launch(
    webserver: Webserver,
    assets: Sequence[str],
    subsets: Sequence[str],
    run_config: Mapping[str, Any] | None = None,
) -> str:
    """Ask for a backfill of some assets over some registered subsets; returns its id.

    ``run_config`` is what the Launchpad holds; each run takes of it what is of its assets.

    Raises:
        ServiceError: Dagster refused.
    """
    wish: dict[str, Any] = {
        "assetSelection": [{"path": asset.split("/")} for asset in assets],
        "partitionNames": list(subsets),
        "title": f"lung-pipeline backfill of {len(subsets)} subsets",
    }
    if run_config:
        wish["runConfigData"] = json.dumps(run_config)
    answer = webserver.ask(_LAUNCH, wish=wish)["launchPartitionBackfill"]
    if answer["__typename"] != "LaunchBackfillSuccess":
        raise _refused(webserver, "start the backfill", answer)
    return str(answer["backfillId"])


def _refused(webserver: Webserver, what: str, answer: Mapping[str, Any]) -> ServiceError:
    told = str(answer.get("message") or answer["__typename"]).strip().splitlines()
    return ServiceError(
        value=told[0],
        place=webserver.url,
        rule=f"Dagster must be able to {what}",
        cure="Look at what it says, or start the same from its UI.",
    )
