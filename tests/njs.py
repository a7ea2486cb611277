"""njs modules that import no other, run by the JavaScript engine that comes with Playwright."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import playwright

MODULES = Path(__file__).resolve().parents[1] / "nginx" / "njs"
NODE = Path(str(playwright.__file__)).parent / "driver" / "node"

Call = Callable[..., Any]
"""Calls an exported function by its name with values, and returns its result."""

_SERVE = """
import readline from 'node:readline';
import module from './module.mjs';

// Shared memory, as far as the modules use it: without the ends of entries.
class Zone extends Map {
    add(name, value) {
        return !this.has(name) && Boolean(this.set(name, value));
    }
    items() {
        return Array.from(this);
    }
}
const zones = {};
const shared = new Proxy(zones, { get: (_, name) => (zones[name] ??= new Zone()) });
globalThis.ngx = { shared, WARN: 1, log: () => undefined };

for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...values] = JSON.parse(line);
    console.log(JSON.stringify(module[name](...values) ?? null));
}
"""


@contextmanager
def loaded(name: str) -> Iterator[Call]:
    """Load a module that imports no other, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(MODULES / name, Path(folder, "module.mjs"))
        Path(folder, "serve.mjs").write_text(_SERVE)
        with subprocess.Popen(
            [str(NODE), "serve.mjs"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            requests, answers = process.stdin, process.stdout
            assert requests
            assert answers

            def call(*values: object) -> Any:
                requests.write(json.dumps(values) + "\n")
                requests.flush()
                return json.loads(answers.readline())

            yield call
            requests.close()
