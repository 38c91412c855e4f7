#!/usr/bin/env python3
"""Security export as procedures section 1 has it, with the standard library alone: the peer of the bench `procedures`.

It streams: a log is decoded and counted line by line, and only its end is kept.
"""

import argparse
import base64
import collections
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import sys


def secret(text):
    text = text.strip()
    if text.startswith("hex:"):
        return bytes.fromhex(text[4:])
    if text.startswith("base64:"):
        return base64.b64decode(text[7:], validate=True)
    return text.encode()


def canonical(document):
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def entries(path):
    found = []
    if path.exists():
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                if line.strip():
                    try:
                        found.append(json.loads(line))
                    except ValueError:
                        found.append({"raw": line.strip()})
    return {"source": str(path), "entries": found}


def summary(path, tail):
    """Lines as str.splitlines divides them, of a file that does not fit in memory."""
    count, last = 0, collections.deque(maxlen=tail)
    with open(path, encoding="utf-8", errors="replace", newline="") as log:
        for piece in log:
            lines = piece.splitlines()
            count += len(lines)
            last.extend(lines)
    return {"line_count": count, "tail": list(last)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--audit-path", type=pathlib.Path, required=True)
    parser.add_argument("--alerts-path", type=pathlib.Path, required=True)
    parser.add_argument("--include-log", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--output-dir", type=pathlib.Path, required=True)
    parser.add_argument("--log-tail", type=int, default=50)
    arguments = parser.parse_args()
    key = secret(os.environ["BOT_CORE_SECURITY_AUDIT_KEY"])

    now = datetime.datetime.now(datetime.timezone.utc)
    bundle = {
        "generated_at": now.isoformat(),
        "metadata": {},
        "audit": entries(arguments.audit_path),
        "alerts": entries(arguments.alerts_path),
        "logs": {
            str(log.resolve() if log.exists() else log): summary(log, arguments.log_tail)
            if log.exists()
            else {"line_count": 0, "tail": []}
            for log in arguments.include_log
        },
    }
    value = base64.b64encode(hmac.new(key, canonical(bundle), hashlib.sha256).digest()).decode()
    signature = {"algorithm": "HMAC-SHA256", "value": value}

    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    path = arguments.output_dir / now.strftime("security_bundle_%Y%m%dT%H%M%SZ.json")
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
        json.dump({"bundle": bundle, "signature": signature}, out, ensure_ascii=False, indent=2)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)
    count = len(bundle["audit"]["entries"]) + len(bundle["alerts"]["entries"])
    json.dump({"bundle_path": str(path), "entry_count": count, "generated_at": bundle["generated_at"]}, sys.stdout)


if __name__ == "__main__":
    main()
