#!/usr/bin/env python3
"""Check of an unpacked package as procedures section 2 has it, with the standard library alone: the peer of the bench
`procedures`.

Both digests of a file come from one read, and files are hashed on all cores: hashlib lets go of the interpreter.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import pathlib
import sys

PIECE = 1 << 20


def canonical(document):
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def key_of(path):
    text = path.read_text().strip()
    return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()


def is_signed(manifest, key):
    signature = manifest["signature"]
    digest = {"HMAC-SHA256": "sha256", "HMAC-SHA384": "sha384"}[signature["algorithm"].upper()]
    payload = {name: value for name, value in manifest.items() if name != "signature"}
    made = hmac.new(key, canonical(payload), digest).digest()
    return hmac.compare_digest(made, base64.b64decode(signature["value"]))


def problem(package, artifact):
    hashes = {name: hashlib.new(name) for name in ("sha256", "sha384") if artifact.get(name)}
    size = 0
    with open(package / artifact["path"], "rb", buffering=0) as file:
        piece = bytearray(PIECE)
        view = memoryview(piece)
        while read := file.readinto(piece):
            size += read
            for one in hashes.values():
                one.update(view[:read])
    if size != artifact["size"]:
        return f"{artifact['path']}: {size} bytes"
    for name, one in hashes.items():
        if one.hexdigest() != artifact[name]:
            return f"{artifact['path']}: {name}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("--hmac-key", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    manifest = json.loads((arguments.package / "manifest.json").read_bytes())
    artifacts = manifest["artifacts"]
    errors = [] if is_signed(manifest, key_of(arguments.hmac_key)) else ["signature"]
    listed = {artifact["path"] for artifact in artifacts} | {"manifest.json"}
    for file in arguments.package.rglob("*"):
        if not file.is_dir() and str(file.relative_to(arguments.package)) not in listed:
            errors.append(f"{file}: not listed")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors += filter(None, pool.map(lambda artifact: problem(arguments.package, artifact), artifacts))
    json.dump({"status": "failed" if errors else "ok", "errors": errors}, sys.stdout)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
