"""ai2-olmo-core: the source mixture built over token files, and every instance of its data set read."""

import numpy as np
import yaml
from olmo_core.data.numpy_dataset import NumpyFSLDatasetMixture
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList
from shared import LENGTH, NAMES, TOKENS, data, folder, report, token

REQUESTED = 1_280_000

if __name__ == "__main__":  # it indexes documents in processes of its own, which read this file again
    for i in range(len(NAMES)):
        data(i).parent.mkdir(parents=True, exist_ok=True)
        tokens = np.full(TOKENS, token(i), dtype=np.uint16)
        tokens[LENGTH - 1 :: LENGTH] = 0
        tokens.tofile(data(i).with_suffix(".npy"))
    sources = yaml.safe_load((folder() / "export" / "sources.yaml").read_text())
    mixture = SourceMixtureDatasetConfig(
        source_list=SourceMixtureList.from_dict(sources),
        requested_tokens=REQUESTED,
        global_batch_size=LENGTH * 64,
        seed=0,
        render_tables=False,
        quiet=True,
    ).build(npdtype=np.uint16, sequence_length=LENGTH)
    rows = NumpyFSLDatasetMixture(
        *mixture.to_paths(),
        path_offset_index=mixture.to_index(),
        seed=0,
        sequence_length=LENGTH,
        pad_token_id=0,
        eos_token_id=0,
        vocab_size=100,
        dtype=np.uint16,
    )
    rows.work_dir = folder() / "work"
    rows.prepare()
    counts = np.zeros(len(NAMES) + 1, dtype=np.int64)
    for i in range(len(rows)):
        counts += np.bincount(rows[i]["input_ids"].numpy(), minlength=len(counts))
    by = f"SourceMixtureDatasetConfig.build, NumpyFSLDatasetMixture, {len(rows):,} instances read"
    report("ai2-olmo-core", by, counts[1:].tolist())
