# SPDX-License-Identifier: Apache-2.0
"""What a running Dagster knows, its assets and subsets, and which of them a person means.

Belongs here: names, as a person writes them, to assets and subsets. Does not belong here: starting.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lung_pipeline.ct.subset_names import checked_subset_name
from lung_pipeline.errors import ServiceError, SettingError
from lung_pipeline.orchestration.backfill.webserver import Webserver

EVERYTHING = "all"
"""Names every asset of the way from scans to scorecard."""

_BESIDE_THE_WAY = "primer"
"""The group of the book's first chapter: no scan passes through it."""

_ASSETS = """{ assetNodes {
    assetKey { path } groupName isPartitioned partitionKeys
    repository { name location { name } }
} }"""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The assets and subsets that a web server knows."""

    groups: dict[str, str]
    """For each asset its group."""

    partitioned: frozenset[str]
    """The assets that are made a subset at a time."""

    subsets: tuple[str, ...]
    """The registered subsets."""

    repository: dict[str, str]
    """How GraphQL names the code location (a ``RepositorySelector``)."""

    def assets(self, wanted: str) -> list[str]:
        """The assets a person names, by commas: assets, groups, or ``all``.

        Raises:
            SettingError: none of them is made a subset at a time, or a name that is unknown.
        """
        named: list[str] = []
        for name in (part.strip() for part in wanted.split(",")):
            named += self._assets_named(name)
        if not self.partitioned & set(named):
            raise SettingError(
                value=wanted,
                place="--assets",
                rule="at least one of the assets must be made a subset at a time",
                cure=f"Add one of {', '.join(sorted(self.partitioned))}, or launch the job `train` "
                "or `evaluate`.",
            )
        return sorted(set(named))

    def subsets_named(self, wanted: Sequence[str], on_disk: Collection[str]) -> list[str]:
        """The subsets a person names, or with no name every one that is known or on disk.

        Raises:
            SettingError: a subset that is neither, or a name that no subset may have.
        """
        known = sorted({*self.subsets, *on_disk})
        for name in wanted:
            checked_subset_name(name)
            if name not in known:
                raise _unknown("--subset", name, "a subset", known, "Put it below raw/.")
        if not known:
            raise _unknown("--all", "none", "at least one subset", known, "Put one below raw/.")
        return sorted(set(wanted)) or known

    def _assets_named(self, name: str) -> list[str]:
        if name == EVERYTHING:
            return [one for one, group in self.groups.items() if group != _BESIDE_THE_WAY]
        found = [one for one, group in self.groups.items() if name in (one, group)]
        if not found:
            known = [*sorted(set(self.groups.values())), *sorted(self.groups), EVERYTHING]
            raise _unknown("--assets", repr(name), "an asset or a group", known, "See the UI.")
        return found


def read_catalog(webserver: Webserver) -> Catalog:
    """What a web server knows; ``ServiceError`` where its code location could not be loaded."""
    nodes = webserver.ask(_ASSETS)["assetNodes"]
    if not nodes:
        raise ServiceError(
            value="no asset",
            place=webserver.url,
            rule="the web server must have loaded the assets of lung_pipeline",
            cure=f"Start it with `-w workspace.yaml`; {webserver.page('locations')} says what it "
            "could not load.",
        )
    repository = nodes[0]["repository"]
    return Catalog(
        groups={_name(node): str(node["groupName"]) for node in nodes},
        partitioned=frozenset(_name(node) for node in nodes if node["isPartitioned"]),
        subsets=tuple(sorted({key for node in nodes for key in node["partitionKeys"]})),
        repository={
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        },
    )


def _name(node: dict[str, dict[str, list[str]]]) -> str:
    return "/".join(node["assetKey"]["path"])


def _unknown(place: str, value: str, what: str, known: Sequence[str], cure: str) -> SettingError:
    return SettingError(
        value=value,
        place=place,
        rule=f"there must be {what} of that name (there are: {', '.join(known) or 'none'})",
        cure=cure,
    )
