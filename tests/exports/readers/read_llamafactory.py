"""llamafactory: its arguments, its dataset_info.json parser, its loader and merge_dataset over JSON lines."""

import os
from collections import Counter
from itertools import islice
from types import SimpleNamespace

os.environ["DISABLE_VERSION_CHECK"] = "1"

import yaml  # noqa: E402
from llamafactory.data.data_utils import merge_dataset  # noqa: E402
from llamafactory.data.loader import _load_single_dataset  # noqa: E402
from llamafactory.data.parser import get_dataset_list  # noqa: E402
from llamafactory.hparams import DataArguments  # noqa: E402
from shared import NAMES, folder, report, write_jsonl  # noqa: E402

DOCUMENTS = 200_000

write_jsonl()
told = yaml.safe_load((folder() / "export" / "train.yaml").read_text())
told["dataset_dir"] = str(folder() / "export")
assert told.pop("stage") == "pt"
workers = told.pop("dataloader_num_workers")
arguments = DataArguments(**told)
model = SimpleNamespace(cache_dir=None, hf_hub_token=None)
training = SimpleNamespace(seed=0, local_process_index=0, dataloader_num_workers=workers)
parts = [
    _load_single_dataset(attributes, model, arguments, training)
    for attributes in get_dataset_list(arguments.dataset, arguments.dataset_dir)
]
counts = Counter()
for row in islice(merge_dataset(parts, arguments, seed=0), DOCUMENTS):
    text = row["_prompt"][0]["content"]
    counts[int(text.split(" ", 1)[0]) - 1] += text.count(" ") + 1
by = f"DataArguments, get_dataset_list, merge_dataset, {DOCUMENTS:,} documents"
report("llamafactory", by, {i: counts[i] for i in range(len(NAMES))})
