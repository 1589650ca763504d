"""onnxruntime-web, as its makers published it: one pinned package, known by its hash, kept for the next time."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

from worldgan.errors import WorldganError, extra
from worldgan.files import atomic_write
from worldgan.progress import console

VERSION = "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package, in base64, as in npm's lock files."""
NAME = f"onnxruntime-web-{VERSION}.tgz"
REGISTRY = "https://registry.npmjs.org"
MEMBERS = {
    # With the glue inside, and named .js: some hosts serve .mjs as no script.
    "package/dist/ort.wasm.bundle.min.mjs": "ort.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort.wasm",
}
"""Files of the package -> what they are called beside a page."""


def runtime() -> dict[str, bytes]:
    """Name -> content of all that a page needs to run ONNX files, licences included (MIT, Microsoft).

    Raises WorldganError if the package can neither be found in the cache nor fetched.
    """
    with tarfile.open(fileobj=io.BytesIO(_package()), mode="r:gz") as archive:
        files = {name: _read(archive, member) for member, name in MEMBERS.items()}
    with extra("onnx"):  # the Python package of the same sources carries the licences, which npm's leaves out
        packaged = resources.files("onnxruntime")
    return files | {name: (packaged / name).read_bytes() for name in ("LICENSE", "ThirdPartyNotices.txt")}


def cache() -> Path:
    """Where the package is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "worldgan" / NAME


def _package() -> bytes:
    kept = cache()
    if kept.exists() and _intact(data := kept.read_bytes()):
        return data
    data = _fetch(kept)
    if not _intact(data):
        raise WorldganError(f"expected the {NAME} that worldgan was written with, got a file of another SHA-512")
    atomic_write(kept, data)
    return data


def _fetch(kept: Path) -> bytes:
    registry = (os.environ.get("npm_config_registry") or REGISTRY).rstrip("/")  # noqa: SIM112  # npm's own name
    url = f"{registry}/onnxruntime-web/-/{NAME}"
    console.print(f"fetching {url} (32 MB, once)", highlight=False, soft_wrap=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data: bytes = answer.read()
            return data
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise WorldganError(f"cannot fetch {url} ({error}): go online once, or put that file at {kept}") from None


def _intact(data: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(data).digest()).decode() == INTEGRITY


def _read(archive: tarfile.TarFile, member: str) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, member  # the hash says what is in it
    return file.read()
