"""Runs in a child process: makes a tiny quantised model and decodes several tokens at once with it.

llama.cpp may crash here (see `llama_health`), which is what the parent wants to know. Prints `ok` when it did not.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from pathlib import Path
from typing import Any

_WIDTH = 256  # the block of Q4_K: no row may be shorter
_VOCABULARY = 32
_HEADS = 4
_TOKENS = 8  # more than one: the crash is in the many-token kernels
_TYPES = (7, 15)  # LLAMA_FTYPE_MOSTLY_Q8_0, LLAMA_FTYPE_MOSTLY_Q4_K_M


def main(arguments: list[str]) -> None:
    """`python -m studio.machine.llama_trial (with|without)`: with or without llama.cpp's repacked weights."""
    import llama_cpp  # heavy

    silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silence, ctypes.c_void_p(0))
    with tempfile.TemporaryDirectory(prefix="tunesmith-trial-", ignore_cleanup_errors=True) as name:
        plain = Path(name) / "plain.gguf"
        write_tiny_model(plain)
        for file_type in _TYPES:
            quantised = plain.with_name(f"{file_type}.gguf")
            _quantise(llama_cpp, plain, quantised, file_type)
            _decode(llama_cpp, quantised, use_extra_bufts=arguments == ["with"])
    sys.stdout.write("ok\n")


def write_tiny_model(path: Path) -> None:
    """A random Llama of one layer, without a vocabulary, about 2 MB."""
    import gguf  # heavy
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    random = np.random.default_rng(0)
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes = {f"blk.0.{name}.weight": (_WIDTH, _WIDTH) for name in square}
    shapes |= {"token_embd.weight": (_VOCABULARY, _WIDTH), "output.weight": (_VOCABULARY, _WIDTH)}
    for name, shape in shapes.items():
        writer.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float32))
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, np.ones(_WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _quantise(llama_cpp: Any, source: Path, target: Path, file_type: int) -> None:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = 1
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    assert not failed, "llama.cpp did not quantise the trial model"


def _decode(llama_cpp: Any, path: Path, *, use_extra_bufts: bool) -> None:
    model_params = llama_cpp.llama_model_default_params()
    model_params.use_extra_bufts = use_extra_bufts
    model_params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
    assert model, "llama.cpp did not load the trial model"
    context_params = llama_cpp.llama_context_default_params()
    context_params.n_ctx, context_params.n_threads, context_params.n_threads_batch = 64, 2, 2
    context = llama_cpp.llama_init_from_model(model, context_params)
    tokens = (llama_cpp.llama_token * _TOKENS)(*range(_TOKENS))
    failed = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, _TOKENS))
    assert not failed, f"llama.cpp did not decode the trial tokens ({failed})"
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)


if __name__ == "__main__":
    main(sys.argv[1:])
