"""What a run leaves: a checkpoint that `transformers` loads, its losses, and what was really played."""

import csv
import io
import shutil
from pathlib import Path

from chameleon.core.artifacts import write_json, write_text
from chameleon.training.loop import Training


def save_run(run: Training, out: Path, tokenizer_dir: Path, eos_token_id: int) -> None:
    """Write `model/` (weights, config, tokenizer), `training.csv` and `mixture.json` into `out`.

    `training.csv` holds step, tokens, learning rate, loss of the batch and gradient norm; `mixture.json` the
    segments with the blocks drawn.
    """
    folder, temporary = out / "model", out / ".model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    run.model.save(temporary, eos_token_id)
    for file in sorted(tokenizer_dir.glob("*.json")):
        if file.name != "run.json":
            shutil.copyfile(file, temporary / file.name)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["step", "tokens", "learning_rate", "train_loss", "gradient_norm"])
    writer.writerows((s, t, f"{lr:.6g}", f"{x:.6g}", f"{g:.6g}") for s, t, lr, x, g in run.rows)
    write_text(out / "training.csv", buffer.getvalue())
    write_json(
        out / "mixture.json",
        {
            "segments": run.segments,
            "effective_epochs": {d: round(x, 6) for d, x in run.sampler.effective_epochs().items()},
            "block_tokens": run.shape.context,
            "available_blocks": run.sampler.block_counts,
        },
    )
