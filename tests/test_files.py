import errno
import sys
from pathlib import Path

import pytest

from worldgan.errors import WorldganError
from worldgan.files import atomic_write, replacing, sole_writer


def test_writing_replaces_the_whole_file_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.bin"
    atomic_write(path, b"a long first version")
    atomic_write(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    atomic_write(path, b"old")

    def write_half() -> None:
        with replacing(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
            temporary.write_bytes(b"half")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_disk_refuses_last_does_not_hide_what_it_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *rest: object, **options: object) -> None:
        raise OSError(errno.EROFS, f"{path.suffix} refused")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WorldganError, match=r"cannot write .*a\.bin: \.bin refused"):
        atomic_write(tmp_path / "a.bin", b"new")


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match="cannot write"), replacing(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with sole_writer(folder):
        with pytest.raises(WorldganError, match="another process is at work"), sole_writer(folder):
            pass
        (folder / "written").touch()
    with sole_writer(folder):
        assert (folder / "written").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no flock")
def test_a_disk_without_locks_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(WorldganError, match=r"can lock .*, got No locks available: choose"), sole_writer(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorldganError, match="cannot write"), sole_writer(tmp_path / "file" / "run"):
        pass
