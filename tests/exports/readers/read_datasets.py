"""datasets: the exported load.py over JSON lines, documents read from its stream without end."""

from collections import Counter
from itertools import islice

from shared import NAMES, report, script, write_jsonl

DOCUMENTS = 200_000

write_jsonl()
counts = Counter()
for row in islice(script()["dataset"](), DOCUMENTS):
    text = row["text"]
    counts[int(text.split(" ", 1)[0]) - 1] += text.count(" ") + 1
report("datasets", f"load.py, {DOCUMENTS:,} documents read", {i: counts[i] for i in range(len(NAMES))})
