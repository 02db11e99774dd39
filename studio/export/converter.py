"""llama.cpp's own converter, fed with tensors that are made when they are written. It decides names and metadata.

It lies in the environment, out of the same source archive as llama-cpp-python, so that the two always agree.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.export.pretokenizer import recognise
from studio.export.quick import quick_quantise
from studio.export.tensors import TensorSource, torch_dtype

if TYPE_CHECKING:
    import torch

# What `ftype` of the converter stands for each type that it writes itself (gguf's LlamaFileType).
DIRECT = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "BF16": "MOSTLY_BF16", "Q8_0": "MOSTLY_Q8_0"}


def converter_folder() -> Path:
    """Where the installer put llama.cpp's converter."""
    return Path(sys.prefix) / "share" / "tunesmith" / "llama.cpp"


def load_conversion() -> ModuleType:
    """The `conversion` package.

    Raises:
        UserError: it is not installed.
    """
    folder = converter_folder()
    if not (folder / "conversion").is_dir():
        raise UserError("The GGUF converter is not installed.", 'Run "python3 installers/bootstrap.py" again.')
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    # It warns at length about what is settled here: tokenizers that it does not know, rotary types by default.
    logging.getLogger("hf-to-gguf").setLevel(logging.ERROR)
    _import_validators()
    return importlib.import_module("conversion")


def _import_validators() -> None:
    """Import what transformers checks configs with, but for its check of an activation's name.

    For the sake of that name it imports all activations, and with them kernels, generation and torch's compiler: a
    quarter of an export's time (transformers 5.23; its `activation_fn_key` goes without where there is no torch).
    """
    from transformers.utils import import_utils  # heavy

    is_there = import_utils.is_torch_available
    import_utils.is_torch_available = lambda: False
    try:
        importlib.import_module("transformers.utils.type_validators")
    finally:
        import_utils.is_torch_available = is_there


def make_converter(description: Path, source: TensorSource, *, kind: str, name: str, base_name: str = "") -> Any:
    """The converter of the model's architecture, ready to be asked for tensors and metadata.

    Args:
        description: folder with config, tokenizer and licence; its weights are not read.
        source: the tensors.
        kind: a key of `DIRECT`.
        name: what the model is called in the file.
        base_name: what it was tuned from, "" for an untuned model.

    Raises:
        UserError: llama.cpp knows no such architecture, or no such tokenizer.
    """
    conversion = load_conversion()
    base = importlib.import_module("conversion.base")
    hparams = {**base.ModelBase.load_hparams(description, False), **source.config_changes}
    architecture = base.get_model_architecture(hparams, base.ModelType.TEXT)
    try:
        model_class = conversion.get_model_class(architecture)
    except NotImplementedError as error:
        raise UserError(
            f"llama.cpp cannot run this kind of model ({architecture}), so there is no GGUF of it.",
            "Export a merged model (--to merged) instead.",
        ) from error
    own = {"_source": source, "base_name": base_name, "model_arch": model_class.model_arch}
    if getattr(model_class, "supports_mtp_export", False) and not _foresees(source, hparams):
        own["no_mtp"] = True
    streaming = type(f"Streaming{model_class.__name__}", (_Streaming, model_class), own)
    ftype = getattr(base.gguf.LlamaFileType, DIRECT[kind])
    return streaming(description, ftype, Path("unused"), hparams=hparams, model_name=name)


def _foresees(source: TensorSource, hparams: dict[str, Any]) -> bool:
    """Whether the layers that foresee further tokens are there: who was trained whole has them in the config alone."""
    layers = hparams.get("text_config", hparams).get("num_hidden_layers", 0)
    places = (re.search(r"(^|\.)(mtp)\.|\.layers\.(\d+)\.", name) for name in source.headers)
    return any(place and (place[2] or int(place[3]) >= layers) for place in places)


class _Streaming:
    """Mixed in before the converter's class of an architecture: what differs from reading a folder."""

    _source: TensorSource
    base_name: str
    was_recognised = False

    def index_tensors(self, remote_hf_model_id: str | None = None) -> dict[str, Any]:
        """What the architecture's own method makes of our tensors; some note there which layers there are."""
        shared = importlib.import_module("conversion.base").ModelBase
        theirs = shared.index_tensors
        shared.index_tensors = lambda converter, remote_hf_model_id=None: converter.tensors_at_hand()
        try:
            return dict(super().index_tensors(remote_hf_model_id))  # type: ignore[misc]
        finally:
            shared.index_tensors = theirs

    def tensors_at_hand(self) -> dict[str, Any]:
        """Names to functions that make lazy tensors, as the converter's shared method gives them for a folder."""
        tensors: dict[str, Any] = {}
        for name, header in self._source.headers.items():
            item = self.filter_tensors((name, _lazy(self._source, name, header)))  # type: ignore[attr-defined]
            if item:
                tensors[item[0]] = item[1]
        return tensors

    def get_vocab_base_pre(self, tokenizer: Any) -> str:
        """The pre-tokenizer by the converter's list of fingerprints, else by how it cuts text."""
        try:
            return str(super().get_vocab_base_pre(tokenizer))  # type: ignore[misc]
        except NotImplementedError:
            self.was_recognised = True
            return recognise(self.dir_model)  # type: ignore[attr-defined]

    def prepare_tensors(self) -> None:
        """The same tensors in the same types, by quicker arithmetic that gives the same bytes."""
        quants = importlib.import_module("conversion.base").gguf.quants
        theirs = quants.quantize
        quants.quantize = lambda data, kind: quick_quantise(data, kind, theirs)
        try:
            super().prepare_tensors()  # type: ignore[misc]
        finally:
            quants.quantize = theirs

    def prepare_metadata(self, vocab_only: bool) -> None:
        """Adds what the converter cannot know to what it writes."""
        super().prepare_metadata(vocab_only)  # type: ignore[misc]
        writer: Any = self.gguf_writer  # type: ignore[attr-defined]
        known = writer.kv_data[0]
        if self.base_name and "general.base_model.count" not in known:
            writer.add_base_model_count(1)
            writer.add_base_model_name(0, self.base_name)
        if self.was_recognised and "tokenizer.ggml.add_bos_token" not in known:
            # The family's own habit may differ; this tokenizer puts nothing in front unless its files say so.
            writer.add_add_bos_token(False)


def _lazy(source: TensorSource, name: str, header: dict[str, Any]) -> Any:
    """A function that makes the converter's kind of lazy tensor."""
    lazy_class = importlib.import_module("conversion.base").LazyTorchTensor
    dtype = torch_dtype(header)

    def load(tensor_name: str) -> torch.Tensor:
        return source.load(tensor_name)

    def make() -> Any:
        meta = lazy_class.meta_with_dtype_and_shape(dtype, tuple(header["shape"]))
        return lazy_class(meta=meta, args=(name,), func=load)

    return make
