"""What all specs share."""

import json
from collections.abc import Mapping
from typing import Any

Spec = dict[str, Any]


def dump(spec: Mapping[str, Any]) -> str:
    """Return a spec as one line of JSON for a command line. Keys keep their order: domains have one."""
    return json.dumps(spec, separators=(",", ":"), ensure_ascii=True)
