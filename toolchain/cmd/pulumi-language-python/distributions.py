"""Writes the installed distributions that may need a Pulumi plugin, as JSON.

A distribution says what it needs in a file of its package; one of Pulumi's may do without.
"""

import importlib.metadata
import json
import pathlib
import re

found = {}
for distribution in importlib.metadata.distributions():
    written = distribution.metadata["Name"]
    if not written:
        continue  # what an interrupted installation leaves behind
    name = re.sub(r"[-_.]+", "-", written).lower()
    if name in found:
        continue  # shadowed by the one that comes first on the path
    package = re.sub(r"[-.]", "_", written)
    path = pathlib.Path(str(distribution.locate_file(package))) / "pulumi-plugin.json"
    plugin = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    if plugin is not None or name.startswith("pulumi-"):
        found[name] = {"name": name, "version": distribution.version, "plugin": plugin}
print(json.dumps(list(found.values())))
