"""Docker's contexts, as `docker context create` writes them."""

import hashlib
import json
from pathlib import Path


def write_context(
    folder: Path, name: str, host: str, *, certificates: bool = False, unverified: bool = False
) -> Path:
    """Write a context as `docker context create` does; returns the folder of its certificates."""
    id_ = hashlib.sha256(name.encode()).hexdigest()
    endpoint = {"Host": host, "SkipTLSVerify": unverified}
    described = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    meta = folder / "contexts" / "meta" / id_
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps(described))
    tls = folder / "contexts" / "tls" / id_ / "docker"
    if certificates:
        tls.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (tls / file).write_text(file)
    return tls
