"""A user's mistake in the config ends the call before any job, with one line that says what to change."""

import json

import pytest
from checkout import Checkout, make_checkout

from chameleon import cli


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout without results for all cases."""
    made = make_checkout(tmp_path_factory.mktemp("bad"))
    domains = ("twin_one", "twin_two", "unique", "blend", "moby_dick")
    stage = {"start_step": 0, "weights": dict.fromkeys(domains, 0.2)}
    foreign = {"stages": [stage], "tokenizer_fingerprint": "0" * 64}
    (made.root / "foreign.json").write_text(json.dumps(foreign), encoding="utf-8")
    return made


LAUGHTER = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
CASES = {
    "unknown_key": ("trainning: {}\n", ["trainning", "scenarios"]),
    "unknown_nested_key": ("data: {min_chars: 3}\n", ["data", "min_chars", "min_characters"]),
    "wrong_type": ("seeds: 3\n", ["seeds", "3"]),
    "unknown_method": (
        "scenarios: {pretrain: {methods: [uniform, doremy]}}\n",
        ["doremy", "uniform", "chameleon"],
    ),
    "unknown_parameter": ("method_params: {chameleon: {lambda: 3}}\n", ["lambda", "ridge"]),
    "unknown_domain": ("corpora: {toy: {domains: [twin_one, nope]}}\n", ["nope", "twin_two"]),
    "unknown_corpus": ("scenarios: {pretrain: {corpora: [toys]}}\n", ["toys", "slim7"]),
    "unknown_scale": ("scenarios: {pretrain: {base: {scale: huge}}}\n", ["huge", "cpu"]),
    "unknown_scenario": ("run: [finetoon]\n", ["finetoon", "pretrain"]),
    "missing_folder": ("corpora: {whale: {path: no/such/folder}}\n", ["whale", "no/such/folder"]),
    "unknown_kind": ("corpora: {toy: {kind: magic}}\n", ["magic", "local"]),
    "weights_of_another_tokenizer": (
        "run: [pretrain]\nsensitivity: null\n"
        "scenarios: {pretrain: {methods: [fixed]}}\nmethod_params: {fixed: {file: foreign.json}}\n",
        ["foreign.json", "tokenizer"],
    ),
    "a_key_twice": (
        "seeds: [0]\nrun: [pretrain]\nseeds: [1]\n",
        ["overlay.yaml", "line 3", "seeds", "twice"],
    ),
    "a_tag": ("seeds: !!python/tuple [0]\n", ["overlay.yaml", "seeds", "tag"]),
    "laughter": (LAUGHTER, ["overlay.yaml", "anchors expand"]),
    "a_year_for_a_folder": ("corpora: {whale: {path: 2024}}\n", ["corpora.whale.path", "2024", "quotes"]),
    "no_for_a_name": ("corpora: {toy: {domains: [no]}}\n", ["corpora.toy.domains", "False", "quotes"]),
    "code_of_others": (
        "corpora: {toy: {trust_remote_code: true}}\n",
        ["corpora.toy.trust_remote_code", "refused"],
    ),
    "results_with_a_command": ("results_dir: results/$(touch ran)\n", ["results_dir", "'$'"]),
    "results_with_two_commands": ("results_dir: results/a;touch ran;b\n", ["results_dir", "';'"]),
    "results_in_backticks": ("results_dir: results/`touch ran`\n", ["results_dir", "'`'"]),
    "results_of_two_lines": ('results_dir: "results/a\\ntouch ran"\n', ["results_dir", "'\\n'"]),
    "results_in_a_short_home": ("results_dir: ~/res\n", ["results_dir", "'~'", "home"]),
    "results_among_the_text": ("corpora: {whale: {path: .}}\n", ["results_dir", "corpora.whale.path"]),
    "more_runs_than_mixtures": (
        "method_params: {regmix: {maximum_usage: 1}}\n",
        ["scenarios.pretrain.methods", "num_proxies", "maximum_usage"],
    ),
    "results_not_writable": ("results_dir: Snakefile/results\n", ["Snakefile/results", "results_dir"]),
}


#: Through Snakemake: what it reads itself first, would hand to a shell, or alone knows.
WHOLE = ("unknown_key", "weights_of_another_tokenizer", "laughter", "results_with_two_commands",
         "results_of_two_lines", "results_not_writable")  # fmt: skip


def judge(checkout: Checkout, name: str, code: int, output: str) -> None:
    assert code != 0
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, output
    assert not [word for word in CASES[name][1] if word not in errors[0]], errors[0]
    assert "Traceback" not in output
    assert not (checkout.root / "results").exists(), "a job ran"
    assert not (checkout.root / "ran").exists(), "a part of the config was run"
    assert not list(checkout.root.glob("~*"))


@pytest.mark.parametrize("name", WHOLE)
def test_one_clear_line(checkout: Checkout, name: str) -> None:
    done = checkout.snakemake("--configfile", *checkout.overlay(CASES[name][0])[1:])
    judge(checkout, name, done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("name", [name for name in CASES if name not in WHOLE])
def test_one_clear_line_of_check(
    checkout: Checkout, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The workflow reads its files by the same functions (`workflow/rules/common.smk`), seconds later."""
    monkeypatch.chdir(checkout.root)
    files = ["config.yaml", *checkout.overlay(CASES[name][0])[1:]]
    code = cli.main(["check", "--configfile", *files])
    printed = capsys.readouterr()
    judge(checkout, name, code, printed.out + printed.err)
