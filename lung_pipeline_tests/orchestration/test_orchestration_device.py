# SPDX-License-Identifier: Apache-2.0
"""What asks for CUDA and finds none fails before anything is read or written, through its asset."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import torch

from lung_pipeline.errors import DeviceError, StoreError
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS

ASKING = ["segmentation_model", "nodule_model", "malignancy_model", "findings"]

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")


def _materialize(asset: str, home: Path, device: str) -> dg.ExecuteInProcessResult:
    definition = build_defs(str(home)).resolve_assets_def(asset)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(LUNA_SUBSETS.name), ["subset0"])
        return dg.materialize(
            [definition],
            instance=instance,
            partition_key="subset0" if definition.partitions_def else None,
            run_config={"ops": {asset: {"config": {"device": device}}}},
        )


@pytest.mark.parametrize("asset", ASKING)
def test_asking_for_cuda_where_there_is_none_fails_first(asset: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(DeviceError, match="needs a CUDA device"):
        _materialize(asset, home, "cuda")
    # It neither waited for its turn nor began an MLflow run; the key makes names unreadable.
    left = {path.relative_to(home).as_posix() for path in home.rglob("*")}
    assert left <= {"names.key", "locks", "locks/0-key-names.lock"}


@pytest.mark.parametrize("asset", ASKING[:3])
def test_asking_for_the_cpu_goes_on_to_the_data(asset: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no subset"):
        _materialize(asset, tmp_path / "home", "cpu")


def test_a_device_that_there_is_none_of_is_refused_as_early(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="one of auto, cpu, cuda"):
        _materialize("nodule_model", tmp_path / "home", "gpu")
