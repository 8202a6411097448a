"""trl: its config parser and get_dataset over JSON lines; every row that it keeps is counted."""

from collections import Counter

from shared import NAMES, folder, report, write_jsonl
from trl import TrlParser
from trl.scripts.utils import DatasetMixtureConfig, get_dataset

write_jsonl()
parser = TrlParser((DatasetMixtureConfig,))
(config,) = parser.parse_args_and_config(["--config", str(folder() / "export" / "mixture.yaml")])
rows = get_dataset(config)["train"]
counts = Counter()
for text in rows["text"]:
    counts[int(text.split(" ", 1)[0]) - 1] += text.count(" ") + 1
by = f"TrlParser, get_dataset, {len(rows):,} documents kept"
report("trl", by, {i: counts[i] for i in range(len(NAMES))})
