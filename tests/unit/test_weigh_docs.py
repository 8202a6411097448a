"""The example of docs/WEIGH.md runs, with a tiny model in the default's place."""

import re
from pathlib import Path

from unit import weigh_models

PAGE = Path(__file__).resolve().parents[2] / "docs" / "WEIGH.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    model = weigh_models.make(tmp_path / "model")
    weigh_models.folders(tmp_path / "data" / "mine")
    (tmp_path / "data" / "new").mkdir()
    (tmp_path / "data" / "mine" / "law").rename(tmp_path / "data" / "new" / "laws")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert "smollm2" in example
    exec(compile(example.replace("smollm2", str(model)), "WEIGH.md", "exec"), {})
    said = capsys.readouterr().out
    assert re.search(r"code: 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\), \d+ tokens", said)
    assert list((tmp_path / "for_my_trainer").iterdir())
