# SPDX-License-Identifier: Apache-2.0
"""One small tree of errors; each says the value, the place, the rule and the cure.

Belongs here: what a person can put right (a file, a header, a setting). Does not belong here:
programming mistakes, which stay Python's own ``TypeError`` and friends.
"""

from __future__ import annotations

_LONGEST_VALUE = 600
"""Characters of a value that are told: a file from a stranger may bring a whole page of them."""


class LungPipelineError(Exception):
    """Something a person can put right, told in one line."""

    def __init__(self, *, value: object, place: object, rule: str, cure: str) -> None:
        self.value = value
        """What was found."""
        self.place = str(place)
        """Where: a file, a table's row, a setting."""
        self.rule = rule
        """What must hold there, as a whole clause: "spacing must be positive"."""
        self.cure = cure
        """What to do about it, as a sentence."""
        shown = str(value)
        if len(shown) > _LONGEST_VALUE:
            shown = shown[:_LONGEST_VALUE] + " ..."
        super().__init__(in_one_line(f"{self.place}: {rule}, got {shown}. {cure}"))

    def __reduce__(self) -> tuple[object, ...]:
        """Cross process borders: Dagster's steps and data workers send errors by pickle."""
        return _rebuild, (type(self), self.value, self.place, self.rule, self.cure)


def in_one_line(text: str) -> str:
    """Show line breaks and the terminal's own codes, which a hostile file may bring, as escapes."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _rebuild(
    kind: type[LungPipelineError], value: object, place: str, rule: str, cure: str
) -> LungPipelineError:
    return kind(value=value, place=place, rule=rule, cure=cure)


class GeometryError(LungPipelineError):
    """A grid that is not a regular, right-angled grid of voxels in patient space."""


class ReadingError(LungPipelineError):
    """A scan that cannot be read whole: absent, truncated, contradicted by its own header."""


class SeriesError(ReadingError):
    """A DICOM folder that is not exactly one complete, evenly spaced CT series."""


class ArchiveError(ReadingError):
    """An archive that cannot be unpacked safely to exactly one scan."""


class HounsfieldError(LungPipelineError):
    """Voxel values that are not Hounsfield units."""


class QualityError(LungPipelineError):
    """A scan that was read whole and yet is no chest CT the models may judge."""


class StoreError(LungPipelineError):
    """An artefact on disk that is absent, incomplete or made from other inputs."""


class LostStoreError(LungPipelineError):
    """An object store that does not answer or refuses; what lies there is not known."""


class AnnotationError(LungPipelineError):
    """A table of marks that cannot be understood."""


class ModelError(LungPipelineError):
    """Weights or a model card that do not fit the network they are for."""


class DeviceError(LungPipelineError):
    """A computing device that was asked for and is not there."""


class ServiceError(LungPipelineError):
    """A server that a setting names, such as a database, and that does not answer."""


class SettingError(LungPipelineError):
    """A setting outside its range."""
