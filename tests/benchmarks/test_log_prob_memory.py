"""Log-probs at a real vocabulary: peak memory of the chunked pass against the plain one.

Each pass, forward and backward, runs in a process of its own, which asks the kernel how high its
resident memory rose above where it stood before the pass. CPU times are of the same processes.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux' /proc"
    ),
]

VOCABULARY, TOKENS = 151_936, 1024
SCRIPT = """
import json, sys, time
import torch
from pathlib import Path
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM
from covlaw.llm import chunked_head
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.model.log_prob import token_values

kind, vocabulary, tokens, entropy, out = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
if kind == "plain":
    chunked_head.CHUNK["cpu"] = 2**62
torch.manual_seed(0)
model = Qwen2ForCausalLM(Qwen2Config(
    vocab_size=vocabulary, hidden_size=64, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False,
)).eval()

def batch(rows, width):
    mask = torch.ones(rows, width, dtype=torch.bool)
    ids = torch.randint(vocabulary, (rows, width))
    prompt = torch.randint(vocabulary, (rows, 4))
    return Completions(prompt, prompt >= 0, ids, mask, torch.zeros(rows, width),
                       torch.zeros(rows, dtype=torch.int64), [""] * rows)

def backward(part):
    values = token_values(model, part, 1.0, bool(entropy))
    advantage = torch.linspace(-1, 1, part.tokens.numel()).reshape(part.tokens.shape)
    loss = (advantage * values.log_prob).sum()
    (loss + 0.1 * values.entropy.sum() if entropy else loss).backward()

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

whole = batch(4, tokens // 4)
backward(batch(1, 2))  # loads what a first pass loads
model.zero_grad(set_to_none=True)
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
before, start = status("VmRSS"), time.process_time()
backward(whole)
seconds, peak = time.process_time() - start, status("VmHWM") - before
save_file({n: p.grad for n, p in model.named_parameters()}, out)
print(json.dumps({"peak": peak, "seconds": seconds}))
"""


def measure(kind: str, entropy: bool, out: Path) -> dict[str, float]:
    sizes = (str(n) for n in (VOCABULARY, TOKENS, int(entropy)))
    command = [sys.executable, "-c", SCRIPT, kind, *sizes, str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("entropy", [False, True])
def test_peak_memory_is_an_eighth_of_the_plain_pass_with_the_same_gradients(
    tmp_path: Path, entropy: bool
) -> None:
    plain, chunked = (measure(kind, entropy, tmp_path / kind) for kind in ("plain", "chunked"))
    ratio = plain["peak"] / chunked["peak"]
    speed = plain["seconds"] / chunked["seconds"]
    print(f"peak {plain['peak'] / 2**20:.0f} MiB plain, {chunked['peak'] / 2**20:.0f} MiB chunked")
    print(f"{ratio:.1f}× less memory, {speed:.2f}× the speed")
    assert ratio >= 8
    # both add TOKENS products of gradients that float32 knows to VOCABULARY summands' rounding,
    # which pairwise sums keep to its logarithm; lengths of vectors, so no cancellation is hidden
    allowed = 2.0**-24 * TOKENS * torch.tensor(VOCABULARY).log2().item()
    one, other = (load_file(tmp_path / kind) for kind in ("plain", "chunked"))
    for name, gradient in one.items():
        gap = (other[name] - gradient).norm() / gradient.norm()
        assert gap < allowed, name
