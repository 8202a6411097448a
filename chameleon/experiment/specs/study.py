"""Which jobs the sensitivity study has and what each one's identity is: pure functions of the config.

As in `chameleon.experiment.specs`, a spec holds everything that changes a job's numbers and nothing else. A
*variant* is a kind of proxy: `default` (the scenario's own), `steps_N` (trained for N steps) or `scale_NAME`
(of another size).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chameleon.core.seeds import derive
from chameleon.core.versions import STAGES
from chameleon.embedding.layers import middle
from chameleon.experiment import study_settings as settings
from chameleon.experiment.config import Config
from chameleon.experiment.specs import training
from chameleon.experiment.specs.base import Spec
from chameleon.experiment.study_settings import Settings

DEFAULT = "default"


@dataclass(frozen=True)
class Variant:
    """A kind of proxy: the factor it varies (None: the default), its setting, scale, steps and seeds."""

    factor: str | None
    setting: str
    scale: str
    steps: int
    seeds: tuple[int, ...]


def chosen(cfg: Config) -> Settings:
    """Return the settings of a config that runs the study."""
    found = settings.read(cfg.raw)
    assert found is not None, "the config has no sensitivity block"
    return found


def variants(cfg: Config) -> dict[str, Variant]:
    """Return variant name -> variant, the default first."""
    study = chosen(cfg)
    default = training.proxy(cfg, study.scenario, cfg.seeds[0])
    scale, steps = default["scale"], default["train"]["steps"]
    some = tuple(cfg.seeds[: study.variant_seeds])
    all_seeds = tuple(settings.extended(cfg.seeds, study.proxy_seeds))
    found = {DEFAULT: Variant(None, DEFAULT, scale, steps, all_seeds)}
    for other in sorted(set(study.proxy_steps) - {steps}):
        found[f"steps_{other}"] = Variant("proxy_steps", str(other), scale, other, some)
    for name in _by_size(cfg, study.proxy_scales):
        if name != scale:
            found[f"scale_{name}"] = Variant("proxy_scale", name, name, steps, some)
    return found


def _by_size(cfg: Config, scales: Iterable[str]) -> list[str]:
    """Return the scales, each once, in order of their blocks' weights."""

    def weights(name: str) -> int:
        model = cfg.raw["scales"][name]["model"]
        return int(model["n_layer"] * model["d_model"] ** 2)

    return sorted(dict.fromkeys(scales), key=lambda name: (weights(name), name))


def jobs(cfg: Config) -> list[tuple[str, int]]:
    """Return every (variant, seed) that is embedded."""
    return [(name, seed) for name, variant in variants(cfg).items() for seed in variant.seeds]


def proxy(cfg: Config, variant: str, seed: int) -> Spec:
    """Return the spec of a further proxy: the scenario's own but for its steps or its size.

    One of another number of steps starts from the default proxy's initial weights and reads the same data in
    the same order.
    """
    asked, spec = variants(cfg)[variant], training.proxy(cfg, chosen(cfg).scenario, seed)
    scale = cfg.raw["scales"][asked.scale]
    train = {**scale["train"], "steps": asked.steps}
    own = {"role": "sensitivity", "variant": variant, "checkpoints": checkpoints(cfg, variant)}
    return {**spec, "scale": asked.scale, "model": scale["model"], "train": train, **own}


def checkpoints(cfg: Config, variant: str) -> list[int]:
    """Return the steps before the last at which a variant's proxies are kept and embedded."""
    asked = variants(cfg)[variant]
    if asked.factor != "proxy_steps":
        return []
    steps = {max(1, round(share * asked.steps)) for share in chosen(cfg).checkpoints}
    return sorted(steps - {asked.steps})


def borrowed(cfg: Config, variant: str, seed: int) -> str | None:
    """Return the folder (below results) of a model that the experiment trains anyway, None if there is none.

    That is the scenario's proxy for the default, and, for the base models' own scale, the base model of the
    uniform mixture: trained like a proxy of that size.
    """
    scenario = chosen(cfg).scenario
    if variant == DEFAULT:
        return f"proxies/{scenario}/seed{seed}"
    for label in cfg.methods(scenario):
        if cfg.method(label)[0].name == "uniform" and seed in cfg.seeds:
            mine, base = proxy(cfg, variant, seed), training.train(cfg, scenario, label, seed)
            if all(mine[key] == base[key] for key in ("domains", "model", "train", "max_epochs", "version")):
                return f"runs/{scenario}/{label}/seed{seed}"
    return None


def model_folder(cfg: Config, variant: str, seed: int) -> str:
    """Return the folder (below results) of a variant's proxy."""
    return borrowed(cfg, variant, seed) or f"sensitivity/proxies/{variant}/seed{seed}"


def embed(cfg: Config, variant: str, seed: int) -> Spec:
    """Return the spec of embedding with one proxy.

    Every proxy embeds the windows of its own seed, as the pipeline does; the default proxies also sweep
    layers, window lengths, and every draw and number of windows.
    """
    study, asked = chosen(cfg), variants(cfg)[variant]
    model = cfg.raw["scales"][asked.scale]["model"]
    base = cfg.raw["embeddings"]
    layer = middle(model["n_layer"]) if base["layer"] is None else min(base["layer"], model["n_layer"])
    length = min(base["window_length"] or model["context"], model["context"])
    default = variant == DEFAULT
    layers = study.layers if study.layers is not None else tuple(range(model["n_layer"] + 1))
    draws = settings.extended(cfg.seeds, study.window_seeds) if default else []
    return {
        "scenario": study.scenario,
        "variant": variant,
        "seed": seed,
        "domains": cfg.domains(study.scenario),
        "layer": layer,
        "windows": base["windows"],
        "window_length": length,
        "layers": sorted({layer, *layers}) if default else [layer],
        "window_lengths": sorted({length, *study.window_lengths}) if default else [length],
        "counts": sorted({base["windows"], *study.windows}) if default else [base["windows"]],
        # The draws that all default proxies share, then the proxy's own where it is not among them.
        "draws": draws,
        "window_seeds": list(dict.fromkeys([*draws, seed])),
        # Draw n is the one that the pipeline's embeddings of seed n read.
        "seeds": {str(n): derive(n, "windows") for n in dict.fromkeys([*draws, seed])},
        "checkpoints": checkpoints(cfg, variant),
        "version": STAGES["sensitivity"],
    }


def measure(cfg: Config) -> Spec:
    """Return the spec of computing weights and distances from all embeddings."""
    from chameleon.mixture.settings import TEMPERATURES

    study, found = chosen(cfg), variants(cfg)
    first = embed(cfg, DEFAULT, cfg.seeds[0])
    params = dict(cfg.method(study.method)[1])
    if params["temperature"] is None:
        params["temperature"] = TEMPERATURES[params["mode"]]
    ridge, temperature = float(params["ridge"]), float(params["temperature"])
    return {
        "scenario": study.scenario,
        "method": study.method,
        "params": params,
        "domains": list(first["domains"]),
        "ridges": sorted({ridge, *map(float, study.ridges)}),
        "temperatures": sorted({temperature, *map(float, study.temperatures)}),
        **{key: first[key] for key in ("layers", "window_lengths", "counts", "windows")},
        "window_seeds": settings.extended(cfg.seeds, study.window_seeds),
        "scales": _by_size(cfg, (v.scale for v in found.values())),
        "variants": {
            name: {"factor": v.factor, "setting": v.setting, "steps": v.steps, "seeds": list(v.seeds)}
            for name, v in found.items()
        },
        "defaults": {
            "ridge": f"{ridge:g}",
            "temperature": f"{temperature:g}",
            "layer": str(first["layer"]),
            "windows": str(first["windows"]),
            "window_length": str(first["window_length"]),
            "proxy_steps": str(found[DEFAULT].steps),
            "proxy_scale": found[DEFAULT].scale,
        },
        "version": STAGES["sensitivity"],
    }


def report(cfg: Config) -> Spec:
    """Return the spec of the tables and figures."""
    spec = measure(cfg)
    return {key: spec[key] for key in ("scenario", "method", "domains", "defaults", "scales", "version")}
