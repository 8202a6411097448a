"""nemo-automodel: its reader of blend files and its blend parser (its builder is Megatron's, compiled)."""

from nemo_automodel.components.datasets.llm.megatron.megatron_utils import get_blend_from_list
from nemo_automodel.components.datasets.llm.megatron_dataset import try_load_blend_from_json
from shared import NAMES, data, folder, report

prefixes, weights = get_blend_from_list(try_load_blend_from_json(folder() / "export" / "blend.json"))
assert prefixes == [str(data(i)) for i in range(len(NAMES))]
report("nemo-automodel", "try_load_blend_from_json, get_blend_from_list (weights, not samples)", weights)
