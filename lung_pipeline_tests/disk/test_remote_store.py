# SPDX-License-Identifier: Apache-2.0
"""A home in an object store: paths, copies and writes, against a real server that can go away."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from object_store import BUCKET, LocalStore, running_store

from lung_pipeline.crops.store import open_crops, read_signatures, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.store import is_current, open_volume, write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import LostStoreError, SettingError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.housekeeping.listing import children, listing_of
from lung_pipeline.orchestration import names_key
from lung_pipeline.orchestration.launch import dagster_folder
from lung_pipeline.remote.copies import at_hand, local_copy, worked_in
from lung_pipeline.remote.s3 import ObjectStore
from lung_pipeline.tables import read_origin, read_table, write_table
from lung_pipeline.tracking.server import tracking_uri
from lung_pipeline.writing import remove, written_whole

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    with running_store(tmp_path_factory.mktemp("scratch")) as opened:
        yield opened


@pytest.fixture
def home(store: LocalStore, request: pytest.FixtureRequest) -> Home:
    """A prefix of its own for each test."""
    return Home.at(f"s3://{BUCKET}/{request.node.name.replace('[', '-').replace(']', '')}")


def _contents(store: LocalStore, home: Home) -> dict[str, bytes]:
    return store.contents(str(home.root).removeprefix(f"s3://{BUCKET}/"))


def _crops(home: Home, value: int, num_crops: int = 3) -> str:
    table = pd.DataFrame({"series_uid": ["s"] * num_crops, "candidate_id": range(num_crops)})
    crops = np.full((num_crops, *CROP_SHAPE_IRC), value, dtype=np.int16)
    return write_crops(home.crops("subset0"), table, lambda rows: crops, {"value": value})


def _volume(value: int) -> CtVolume:
    voxels = np.full((40, 70, 70), value, dtype=np.int16)
    grid = VoxelGrid((40, 70, 70), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    return CtVolume("1.2.3", voxels, grid, grid, f"{value}", None)


def test_paths_behave_as_local_ones(home: Home, store: LocalStore) -> None:
    with written_whole(home.raw / "subset0" / "a.mhd") as temporary:
        temporary.write_text("text")
    path = home.raw_subset("subset0") / "a.mhd"
    assert (path.is_file(), path.is_dir(), path.parent.is_dir()) == (True, False, True)
    assert (path.name, path.suffix, path.stat().st_size) == ("a.mhd", ".mhd", 4)
    assert [(p, p.is_file(), p.stat().st_size) for p in path.parent.iterdir()] == [(path, True, 4)]
    assert [p for p in home.raw.rglob("*") if p.is_file()] == [path]
    assert path.relative_to(home.raw).as_posix() == "subset0/a.mhd"
    # As crops go to the workers that read them ahead.
    assert pickle.loads(pickle.dumps(path)).read_text() == "text"  # noqa: S301  # our own bytes
    assert home.subsets_on_disk() == ["subset0"]
    remove(home.raw)
    remove(home.raw)
    assert (path.is_file(), home.raw.is_dir(), _contents(store, home)) == (False, False, {})
    with pytest.raises(FileNotFoundError):
        path.unlink()


@pytest.mark.parametrize(
    "address",
    ["gs://bucket/a", "http://host/a", "s3://", "s3://bucket/../other", "s3:///a", "s3://B"],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(SettingError, match=r"a local folder or s3://BUCKET/PREFIX"):
        Home.at(address)


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    code = textwrap.dedent(
        """
        import sys
        sys.modules["s3fs"] = None
        from lung_pipeline.errors import SettingError
        from lung_pipeline.home import Home
        try:
            Home.at("s3://bucket/a")
        except SettingError as error:
            print(error)
        """
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "lung-pipeline[s3]"' in said.stdout


def test_databases_must_be_named_elsewhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(SettingError, match="MLflow's database or server must be named"):
        tracking_uri(home)
    with pytest.raises(SettingError, match="Dagster needs a local folder"):
        dagster_folder(home)


def test_a_table_comes_back_with_its_origin(home: Home, tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    path = home.manifest("stage", "subset0")
    made = write_table(table, path, {"made": "of this"})
    assert made == write_table(table, tmp_path / "here.parquet", {"made": "of this"})
    assert path.read_bytes() == (tmp_path / "here.parquet").read_bytes()
    pd.testing.assert_frame_equal(read_table(path), table)
    assert list(read_table(path, ["b"])) == ["b"]
    assert read_origin(path) == {"made": "of this"}
    with pytest.raises(StoreError, match="must have been made"):
        read_table(home.manifest("stage", "subset1"))
    with written_whole(path) as temporary:
        temporary.write_text("no table")
    with pytest.raises(StoreError, match="whole Parquet table"):
        read_table(path)


def test_a_volume_is_read_through_the_store_and_a_lost_shard_refused(
    home: Home, store: LocalStore
) -> None:
    path = home.volume("subset0", "1.2.3")
    write_volume(_volume(-700), path)
    opened = open_volume(path)
    assert (opened.read_all() == -700).all()
    assert opened.read_window((1, 2, 3), (4, 5, 6)).shape == (3, 3, 3)
    assert (is_current(path, "-700"), is_current(path, "-800")) == (True, False)
    (shard,) = (name for name in _contents(store, home) if "/c/" in name)
    (home.root / shard).unlink()
    with pytest.raises(StoreError, match="0 of"):
        open_volume(path)


def test_crops_are_copied_once_and_again_when_they_changed(home: Home, store: LocalStore) -> None:
    _crops(home, -1)
    asked: list[str] = []
    store.on_request = lambda method, path: asked.append(path) if method == "GET" else None
    first = open_crops([home.crops("subset0")])
    assert (first.read([0, 2]) == -1).all()
    fetched = [path for path in asked if path.endswith("crops.npy")]
    assert len(open_crops([home.crops("subset0")])) == 3
    assert [path for path in asked if path.endswith("crops.npy")] == fetched != []
    # The tables are the same to the byte; only the windows are others.
    _crops(home, 5)
    assert (open_crops([home.crops("subset0")]).read([1]) == 5).all()
    assert len(read_signatures(home.crops("subset0"))) == 3
    with pytest.raises(StoreError):
        first.read([0])
    store.on_request = lambda method, path: None


def test_a_shorter_artefact_leaves_nothing_of_a_longer_one(home: Home, store: LocalStore) -> None:
    for names in (("a", "b/c"), ("a",)):
        with written_whole(home.root / "folder") as temporary:
            for name in names:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).write_text(name)
    assert _contents(store, home) == {"folder/a": b"a"}


def test_a_block_that_fails_changes_nothing(home: Home, store: LocalStore) -> None:
    _crops(home, 1)
    before = _contents(store, home)
    with pytest.raises(ZeroDivisionError):
        _write_half(home.crops("subset0"))
    assert _contents(store, home) == before


def _write_half(folder: Path) -> None:
    with written_whole(folder) as temporary:
        temporary.mkdir()
        (temporary / "crops.npy").write_text("half")
        raise ZeroDivisionError


def test_a_writer_refused_before_the_last_file_leaves_no_crops(
    home: Home, store: LocalStore
) -> None:
    _crops(home, 1)

    def lose(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("signatures.npy"):
            raise ConnectionResetError

    store.on_request = lose
    try:
        with pytest.raises(LostStoreError, match="the object store must answer"):
            _crops(home, 2)
    finally:
        store.on_request = lambda method, path: None
    assert not home.crops_index("subset0").is_file()
    with pytest.raises(StoreError, match="must have been made"):
        open_crops([home.crops("subset0")])
    made = _crops(home, 2)
    after = _contents(store, home)
    remove(home.root)
    assert (_crops(home, 2), _contents(store, home)) == (made, after)


_WRITER = """
import numpy as np
from test_remote_store import _volume
from lung_pipeline.ct.store import write_volume
from lung_pipeline.home import Home
write_volume(_volume(3), Home.at({root!r}).volume("subset0", "1.2.3"))
"""


def test_a_writer_killed_before_the_last_file_leaves_no_volume(
    home: Home, store: LocalStore
) -> None:
    path = home.volume("subset0", "1.2.3")
    write_volume(_volume(2), path)
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{_WRITER.format(root=str(home.root))}"
    writers: list[subprocess.Popen[bytes]] = []

    def kill(method: str, asked: str) -> None:
        if method == "PUT" and asked.endswith("1.2.3.zarr/zarr.json"):
            writers[0].send_signal(signal.SIGKILL)
            writers[0].wait()
            raise ConnectionResetError

    store.on_request = kill
    try:
        writers.append(subprocess.Popen([sys.executable, "-c", code]))
        assert writers[0].wait(timeout=300) == -signal.SIGKILL
    finally:
        store.on_request = lambda method, asked: None
    with pytest.raises(StoreError, match="Materialize hu_volumes"):
        open_volume(path)
    write_volume(_volume(3), path)
    assert (open_volume(path).read_all() == 3).all()


def test_a_store_that_is_gone_is_said_and_is_never_an_absent_file(
    home: Home, store: LocalStore
) -> None:
    path = home.manifest("stage", "subset0")
    write_table(pd.DataFrame({"a": [1]}), path, {})
    write_volume(_volume(1), home.volume("subset0", "1.2.3"))
    stored = open_volume(home.volume("subset0", "1.2.3"))
    before = _contents(store, home)
    store.stop()
    try:
        for ask in (
            path.is_file,
            path.exists,
            home.raw.is_dir,
            path.read_bytes,
            home.subsets_on_disk,
            stored.read_all,
            lambda: read_table(path),
            lambda: open_volume(home.volume("subset0", "1.2.3")),
            lambda: is_current(home.volume("subset0", "1.2.3"), "1"),
            lambda: local_copy(path),
            lambda: write_table(pd.DataFrame({"a": [2]}), path, {}),
        ):
            with pytest.raises(LostStoreError, match="AWS_ENDPOINT_URL"):
                ask()
    finally:
        store.start()
    assert _contents(store, home) == before
    assert list(read_table(path)["a"]) == [1]


def test_a_bucket_that_is_not_there_is_said(store: LocalStore) -> None:
    with pytest.raises(LostStoreError, match="no such bucket"):
        Home.at("s3://another-bucket/a").certificate.is_file()


def test_a_working_folder_lasts_as_far_as_it_was_kept(home: Home, store: LocalStore) -> None:
    place = home.root / "events"
    for number in range(2):
        with worked_in(place) as own:
            own.local.mkdir(exist_ok=True)
            assert len(list(own.local.iterdir())) == number
            (own.local / f"{number}").write_text("kept")
            own.keep()
            (own.local / "later").write_text("lost")
    assert sorted(_contents(store, home)) == ["events/0", "events/1"]


def test_a_folder_that_a_console_made_is_no_file_of_an_artefact(
    home: Home, store: LocalStore
) -> None:
    """Consoles keep an empty folder as an empty object whose name ends in a slash."""
    with written_whole(home.raw / "LIDC-XML-only" / "a.xml") as temporary:
        temporary.write_text("text")
    key = str(home.root).removeprefix(f"s3://{BUCKET}/")
    for folder in ("raw/LIDC-XML-only", "raw/LIDC-XML-only/deeper", "raw/empty", "volumes"):
        store.client.put_object(Bucket=BUCKET, Key=f"{key}/{folder}/", Body=b"")
    copy = local_copy(home.raw / "LIDC-XML-only")
    assert [path.name for path in copy.iterdir()] == ["a.xml"]
    with pytest.raises(StoreError, match="got nothing"):
        local_copy(home.raw / "empty")
    assert list(listing_of(home)) == ["raw/LIDC-XML-only/a.xml"]
    assert children(listing_of(home), "volumes") == []
    assert [path.name for path in (home.raw / "LIDC-XML-only").glob("*.xml")] == ["a.xml"]


def test_what_is_at_hand_is_gone_afterwards(home: Home) -> None:
    with written_whole(home.root / "file") as temporary:
        temporary.write_text("text")
    with at_hand(home.root / "file") as near:
        assert near.read_text() == "text"
    assert not near.exists()
    with at_hand(home.root / "nothing") as near:
        assert not near.exists()


@pytest.mark.parametrize("knows_conditions", [True, False])
def test_key_of_names_is_that_of_who_was_first(
    home: Home, monkeypatch: pytest.MonkeyPatch, knows_conditions: bool
) -> None:
    """Another process puts its own when this one has seen that there is none."""
    path = home.root / names_key.KEY_FILE
    own, of_other = "0a" * names_key.NUM_BYTES, "0b" * names_key.NUM_BYTES

    def drawn(_: int) -> str:
        if knows_conditions:
            path.write_text(f"{of_other}\n")
        return own

    monkeypatch.setattr(names_key.secrets, "token_hex", drawn)
    if not knows_conditions:
        put = ObjectStore._put_file

        async def put_without(self: ObjectStore, *given: Any, mode: str = "", **more: Any) -> None:
            if mode == "create":
                raise LostStoreError(value="NotImplemented", place="s3", rule="answer", cure="none")
            await put(self, *given, **more)

        monkeypatch.setattr(ObjectStore, "_put_file", put_without)
    expected = of_other if knows_conditions else own
    assert names_key.names_key(home) == bytes.fromhex(expected)
    assert names_key.names_key(home) == bytes.fromhex(expected)
