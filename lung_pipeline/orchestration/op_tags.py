# SPDX-License-Identifier: Apache-2.0
"""What a step asks of the machine it runs on.

Op tags reach only step pods, so they act with the ``k8s`` executor; elsewhere they are ignored.
The pool keeps two trainings off one card: its limit is the ``default_limit`` of dagster.yaml.
"""

from typing import Any

GPU_POOL = "gpu"
"""Steps that use a GPU wait for each other here."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where Linux keeps it; data workers pass batches there

GPU_OP_TAGS: dict[str, Any] = {
    "dagster-k8s/config": {
        "container_config": {
            "resources": {
                "requests": {"cpu": "4", "memory": "16Gi"},
                "limits": {"nvidia.com/gpu": "1", "memory": "24Gi"},
            },
            "volume_mounts": [{"name": "dshm", "mount_path": SHARED_MEMORY}],
        },
        "pod_spec_config": {
            "node_selector": {"nvidia.com/gpu.present": "true"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
            ],
            # The 64 MB a container gets by default are too little for data workers.
            "volumes": [{"name": "dshm", "empty_dir": {"medium": "Memory", "size_limit": "8Gi"}}],
        },
        "job_spec_config": {"ttl_seconds_after_finished": 3600},
    }
}
"""One card, room beside it, and shared memory for data workers."""
