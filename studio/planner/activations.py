"""Bytes that one micro-batch leaves behind for the backward pass, counted operation by operation.

A token leaves the same bytes in each layer, whatever the model's age: which of a layer's tensors are kept follows from
who is trained (a weight's gradient needs its input, an adapter keeps its own copy) and from the precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from studio.methods import Trained
from studio.models.arithmetic import Linear, Shapes

_TILED_POSITIONS = 2048  # studio/engine/stream/tiled.py: whose logits of a tile are built at once
_CHUNK_BYTES = 64 << 20  # studio/engine/token_nll.py: fp32 logits of one chunk of positions
_BEFORE_ATTENTION = ("q_proj", "k_proj", "v_proj", "qkv_proj", "c_attn", "q_a_proj", "kv_a_proj_with_mqa")
_LATENT = ("q_b_proj", "kv_b_proj")
_AFTER_ATTENTION = ("o_proj", "out_proj")
_CHOICE_BYTES = 28
"""Of an expert's number, its places when sorted, and its share."""
_PASSING = 2
"""Layers whose inputs are on their way to or from where they wait."""
_UP = ("gate_proj", "up_proj", "gate_up_proj", "c_fc", "fc1", "input_linear", "shared_expert_gate")
_DOWN = ("down_proj", "c_proj", "fc2", "output_linear")
_UNKEPT = ("q_proj", "k_proj", *_AFTER_ATTENTION, *_DOWN)  # outputs, by anyone but DoRA


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the model at once.

    Attributes:
        tokens: all of them, laid end to end.
        longest: of the longest row.
        compute: bytes of a number in arithmetic (2 in bf16, 4 in fp32).
        stream: bytes of a number in the hidden state that layers hand on: 4 as soon as weights are kept in fp32, or
            rows of the embedding are looked up in fp32 on the drive.
        checkpointed: whether layers keep their input alone and are computed again.
        widened: whether arithmetic is in fp32 on weights that are kept in 16 bits.
        together: micro-batches that go through a layer before the next layer comes (streamed); else 1.
        light: whether norms and gated parts keep little (studio/engine/light.py), as all of ours do that can.
    """

    tokens: int
    longest: int
    compute: int
    stream: int
    checkpointed: bool = False
    widened: bool = False
    together: int = 1
    light: bool = True

    @property
    def is_exact(self) -> bool:
        """Whether arithmetic and weights are in fp32."""
        return self.compute == 4 and not self.widened


@dataclass(frozen=True)
class Kept:
    """Bytes of a micro-batch, all tokens.

    Attributes:
        layers: left behind by all layers that the backward pass goes through.
        one_layer: left behind by one layer while it is computed again; 0 where layers are not.
        ending: left behind by the last norm and the loss.
        norming: short-lived beside those in the last norm's backward pass, which works in fp32.
        at_loss: short-lived beside those while the loss is computed, logits apart.
        moving: short-lived at the fullest moment inside a layer's forward pass.
        widening: the part of it that training's own copies do not hold already.
        returning: short-lived inside a layer's backward pass.
        logits: the chunk of logits at work.
    """

    layers: float
    one_layer: float
    ending: float
    norming: float
    at_loss: float
    moving: float
    widening: float
    returning: float
    logits: float


def kept(shapes: Shapes, trained: Trained, batch: MicroBatch) -> Kept:
    """What a micro-batch leaves behind when `trained` is trained."""
    layers, each = _layers(shapes, trained, batch) if trained.backward else (0.0, 0.0)
    kinds = shapes.kinds or (shapes,)
    casts_kept = 2.0 * trained.adapter if trained.adapts_experts and batch.compute == 2 else 0.0  # summed with those
    return Kept(
        layers=layers * batch.tokens + (0.0 if batch.checkpointed else casts_kept),
        one_layer=each * batch.tokens + casts_kept / max(1, shapes.layers) if batch.checkpointed else 0.0,
        ending=_ending(shapes, trained, batch) * batch.tokens if trained.backward else 0.0,
        norming=float(shapes.hidden * (20 - batch.compute) * batch.tokens) if trained.backward else 0.0,
        at_loss=3.0 * shapes.hidden * batch.compute * batch.tokens,
        moving=max(_moving(kind, trained, batch) for kind in kinds),
        widening=max(_widening(kind, trained, batch) for kind in kinds),
        returning=max(_returning(kind, trained, batch) for kind in kinds) if trained.backward else 0.0,
        logits=_logits_bytes(shapes, batch, trained.tile_rows),
    )


def _moving(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """Bytes that come and go in one layer's forward pass, where nothing is kept for a way back."""
    c = batch.compute
    wide = _forward_width(shapes, batch) + shapes.intermediate * _casts(trained, batch)
    scores = 0.0
    drops = shapes.drops_attention and not trained.backward  # MeZO's passes are training
    if shapes.writes_scores or drops:  # beside queries, keys and values
        each = 14.0 if drops else 10.0 if c == 2 else 8.0  # 16 bits are made 32 before the softmax
        each += c if shapes.clamps_gates else 0  # GPT-OSS: once more with the sink beside them
        scores = each * batch.longest * shapes.heads + c * shapes.head_size * (3 * shapes.heads + 2 * shapes.kv_heads)
    # The embedding's outcome is held by the model, a layer's input by its caller, the residual and its norm by the
    # layer, angles by all.
    held = 4.0 * shapes.hidden * batch.stream + 2 * shapes.head_size * c
    moving = (held + max(wide, scores)) * batch.tokens
    return moving + _widening(shapes, trained, batch) * _makes_experts(shapes, trained)


def _forward_width(shapes: Shapes, batch: MicroBatch) -> float:
    """Bytes a token at the fullest moment of the feed-forward part."""
    c = batch.compute
    if shapes.experts:  # sorted inputs beside both halves, activation and product; or outcomes, weighed and in order
        beside = c * shapes.hidden if shapes.shared_width else 0  # what the shared one gave
        halves = ((9 if shapes.clamps_gates else 4) * shapes.expert_width + shapes.hidden) * c
        weighed = 2 * shapes.hidden * (c + _share_bytes(shapes, batch))
        return float(shapes.experts_active * max(halves, weighed) + beside)
    is_split = any(linear.name == "up_proj" for linear in shapes.linears)
    return float(c * shapes.intermediate * (2 if is_split and _light_width(shapes, batch) else 3))


def _widening(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """The part of those that training's own copies do not hold already."""
    if not _makes_experts(shapes, trained):
        return float(shapes.intermediate * (batch.compute + _casts(trained, batch))) * batch.tokens
    # What is weighed once more in order, and the residual.
    weighed = 2.0 * _share_bytes(shapes, batch) * shapes.experts_active + 2.0 * batch.compute
    return weighed * shapes.hidden * batch.tokens + _made_experts(shapes, trained, batch)


def _casts(trained: Trained, batch: MicroBatch) -> int:
    return 4 if trained.adapted and batch.compute == 2 and not trained.in_place else 0


def _makes_experts(shapes: Shapes, trained: Trained) -> bool:
    return (trained.adapts_experts or trained.packs_experts) and shapes.experts > 0


def _layers(shapes: Shapes, trained: Trained, batch: MicroBatch) -> tuple[float, float]:
    """Bytes that one token leaves behind in all layers, and in the fullest one of them.

    Of layers of several kinds, those are taken for trained that leave the most.
    """
    deep = shapes.layers if trained.depth is None else min(trained.depth, shapes.layers)
    bare = replace(trained, adapted=frozenset(), adapts_experts=False)
    adapted = deep if trained.adapted_layers is None else min(trained.adapted_layers, deep)
    own = min(trained.layers, deep)
    kinds = [_Layer.of(kind, trained, bare, batch) for kind in shapes.kinds or (shapes,)]
    reached = [kinds[at] for at in (shapes.order or (0,) * shapes.layers)[shapes.layers - deep :]]
    each = max((kind.whole if own else kind.plain for kind in reached), default=0.0)
    if batch.checkpointed:
        waiting = _PASSING if trained.layer_inputs not in ("", "device") else deep
        # The others' inputs, what they made of the embedding, and their gradients on the way down.
        inputs = waiting + (batch.together - 1) * (waiting + 2)
        return float(inputs * shapes.hidden * batch.stream), each
    # Nothing before the lowest layer wants a gradient, so its first norm keeps nothing, unless embeddings are trained.
    first = 0.0 if trained.ends else float((batch.stream if _is_light(shapes, batch) else 4) * shapes.hidden)
    if _makes_again(shapes, trained, batch) and not trained.ends:
        first -= shapes.hidden * batch.compute  # its outcome stays for the adapters instead
    added = sorted((kind.plain - kind.bare for kind in reached), reverse=True)
    owned = sorted((kind.whole - kind.plain for kind in reached), reverse=True)
    total = sum(kind.bare for kind in reached) + sum(added[: max(adapted, own)]) + sum(owned[:own])
    return max(0.0, total - first), each


@dataclass(frozen=True)
class _Layer:
    """Bytes that one token leaves behind in a layer of a kind: without adapters, with them, and trained itself."""

    bare: float
    plain: float
    whole: float

    @staticmethod
    def of(kind: Shapes, trained: Trained, bare: Trained, batch: MicroBatch) -> _Layer:
        plain = layer_bytes(kind, trained, batch, is_trained=False)
        whole = layer_bytes(kind, trained, batch, is_trained=True) if trained.layers else plain
        none = layer_bytes(kind, bare, batch, is_trained=False) if trained.adapted_layers is not None else plain
        return _Layer(none, plain, whole)


def layer_bytes(shapes: Shapes, trained: Trained, batch: MicroBatch, *, is_trained: bool) -> float:
    """Bytes that one token leaves behind in one layer."""
    return (
        _norms(shapes, batch, is_trained=trained.norms_alone or (is_trained and trained.norms))
        + _inputs(shapes, trained, batch, is_trained=is_trained)
        + _attention(shapes, batch)
        + _feed_forward(shapes, trained, batch, is_trained=is_trained)
        + _adapters(shapes, trained, batch)
    )


def _adapters(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """Each adapter's own middle, which inputs it hid, and outputs that it stretched and nobody else keeps."""
    found = [linear for linear in shapes.linears if linear.name in trained.adapted]
    total = float(trained.rank * batch.compute * len(found))
    if trained.drops:
        total += sum(linear.inputs for linear in found)
    if trained.stretches:
        total += batch.compute * sum(linear.outputs for linear in found if linear.name in _UNKEPT)
    return total


def _logits_bytes(shapes: Shapes, batch: MicroBatch, tile_rows: int) -> float:
    """One chunk's logits and shares in fp32; in 16 bits the product as well; where they are capped, a copy of them.

    In tiles: those of a tile, and for each position the expected row, its own, and what a tile adds.
    """
    each = 8.0 + (2.0 if batch.compute == 2 else 0.0) + (4.0 if shapes.softcaps_logits else 0.0)
    if tile_rows:
        tiled = min(batch.tokens, _TILED_POSITIONS)
        return each * tile_rows * tiled + shapes.hidden * (8.0 * batch.tokens + batch.compute * tiled)
    return each * max(1, shapes.vocabulary) * min(batch.tokens, logits_chunk(shapes))


def logits_chunk(shapes: Shapes) -> int:
    """Positions whose logits are built at once."""
    return max(16, _CHUNK_BYTES // (4 * max(1, shapes.vocabulary)))


def _norms(shapes: Shapes, batch: MicroBatch, *, is_trained: bool) -> float:
    """What they are given. One that is not light works in fp32 on a copy; trained, it keeps what it scales as well."""
    width = shapes.norms * shapes.hidden
    heads = shapes.inner_norms
    if shapes.kind == "gpt":
        return float(width * batch.stream)
    if _is_light(shapes, batch):
        return float(width * batch.stream + heads * batch.compute + 4 * shapes.norms)
    scaled = 4 if shapes.kind == "gemma" else batch.compute
    return 4.0 * (width + heads) + (batch.stream * width + scaled * heads if is_trained else 0)


def _inputs(shapes: Shapes, trained: Trained, batch: MicroBatch, *, is_trained: bool) -> float:
    """Inputs that linear layers on the hidden state keep: one for all of them in fp32, one each where they are cast.

    Adapters on a light norm's outcome make it again; in a mixture it has passed through other hands.
    """
    total = 0.0
    again = _makes_again(shapes, trained, batch) and not is_trained
    for group in (_BEFORE_ATTENTION, _UP):
        if again and not (group is _UP and shapes.experts):
            continue
        found = [linear for linear in shapes.linears if linear.name in group]
        adapted = [linear for linear in found if linear.name in trained.adapted and trained.keeps_inputs]
        copies_own = batch.stream == 4 if trained.in_place and not is_trained else bool(adapted) or trained.norms
        is_cast = batch.compute == 2 and copies_own
        keeping = len(found if is_trained else adapted)
        if group is _UP and shapes.experts:
            keeping += is_trained  # the router reads it as well
        copies = keeping if is_cast else min(1, keeping)
        total += copies * shapes.hidden * batch.compute
    latent = _LATENT if is_trained or (trained.keeps_inputs and not again) else ()
    total += batch.compute * sum(linear.inputs for linear in shapes.linears if linear.name in latent)
    return total


def _attention(shapes: Shapes, batch: MicroBatch) -> float:
    """Turned queries and keys, values, the outcome and one number a head; all scores where no fused kernel serves."""
    queries, keys = shapes.heads * shapes.head_size, shapes.kv_heads * shapes.head_size
    fused = batch.compute * (2 * queries + 2 * keys) + 4.0 * shapes.heads
    if any(linear.name in ("qkv_proj", "c_attn") for linear in shapes.linears):
        fused += batch.compute * (queries + keys)  # values are a part of the whole product, which stays for them
    each = 14.0 if shapes.drops_attention else 8.0 if shapes.writes_scores else 0.0
    return fused + batch.longest * shapes.heads * each


def _feed_forward(shapes: Shapes, trained: Trained, batch: MicroBatch, *, is_trained: bool) -> float:
    """Gate, its activation (unless that is computed again) and the other half, and the last linear layers' inputs."""
    c, wide = batch.compute, shapes.intermediate
    after = _is_adapted(shapes, trained, _AFTER_ATTENTION)
    light = _light_width(shapes, batch)
    total = (3.0 * wide - light) * c
    total += c * shapes.heads * shapes.value_size if after and c == 2 and not trained.in_place else 0
    if is_trained:
        total += wide * c
    elif _is_adapted(shapes, trained, _DOWN):
        total += ((shapes.shared_width if shapes.experts else wide) - (light if trained.in_place else 0)) * c
    if shapes.experts:
        total += _experts(shapes, trained, batch, is_trained=is_trained)
    return total


def _is_light(shapes: Shapes, batch: MicroBatch) -> bool:
    return batch.light and shapes.scales_only and shapes.kind != "gpt"


def _makes_again(shapes: Shapes, trained: Trained, batch: MicroBatch) -> bool:
    """Whether adapters make a norm's outcome again rather than keep it."""
    return _is_light(shapes, batch) and shapes.norms_first and trained.in_place


def _light_width(shapes: Shapes, batch: MicroBatch) -> int:
    """Of the feed-forward part, what keeps its halves alone: its names are those that the engine knows."""
    names = {linear.name for linear in shapes.linears}
    is_known = "down_proj" in names and ({"gate_proj", "up_proj"} <= names or "gate_up_proj" in names)
    if not (batch.light and is_known):
        return 0
    return shapes.shared_width if shapes.experts else shapes.intermediate


def _experts(shapes: Shapes, trained: Trained, batch: MicroBatch, *, is_trained: bool) -> float:
    """Sorted inputs and outcomes of the chosen experts, what goes into their last product, and who was chosen.

    Their products keep out of autocast (transformers' `_grouped_mm`): experts that are kept in fp32 compute in it.
    """
    own = _of_own_experts(trained, batch)
    if is_trained:
        each = 2.0 * shapes.hidden * own + 4.0 * shapes.expert_width * (own - batch.compute)
    elif trained.adapts_experts:
        each = (2.0 * shapes.hidden + shapes.expert_width) * batch.compute
    else:
        each = float(shapes.hidden * batch.compute)
    if shapes.clamps_gates:
        each += 3.0 * shapes.expert_width * (own if is_trained else batch.compute)
    return shapes.experts_active * (each + _CHOICE_BYTES) + 4.0 * shapes.expert_count


def _of_own_experts(trained: Trained, batch: MicroBatch) -> int:
    """Bytes of a number in arithmetic with experts that are trained themselves."""
    return batch.compute if trained.in_short or trained.passing else 4


def _share_bytes(shapes: Shapes, batch: MicroBatch) -> int:
    """Of a number of an expert's outcome once it is weighed."""
    return 4 if shapes.weighs_exactly else batch.compute


def _made_experts(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """Bytes of one layer's experts while it computes, unpacked, with adapters (studio/engine/experts.py)."""
    if not _makes_experts(shapes, trained):
        return 0.0
    return 3.0 * shapes.expert_count * shapes.expert_width * shapes.hidden * batch.compute


def _ending(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """The last norm's input or its copy, and the loss's gradient (or, under a trained output matrix, its input)."""
    if _is_light(shapes, batch):
        return float(shapes.hidden * (batch.stream + batch.compute))
    scaled = batch.stream if trained.ends else 0
    return float(shapes.hidden * (4 + batch.compute + scaled))


def _returning(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """Gradients on their way through the feed-forward part.

    Of trained experts: of what is weighed and sorted, or their own. Of frozen or adapted ones: of what is weighed and
    sorted, or of both halves; with adapters also of the doubled half's sum, which is as large, beside it. Computed
    again, a layer has both sums when the last product's comes.
    """
    places = shapes.experts_active * batch.tokens
    if not shapes.experts or trained.layers:
        passing = _returning_a_token(shapes, trained, batch) * batch.tokens
        own = _of_own_experts(trained, batch)
        return max(passing, 3.0 * own * shapes.hidden * places, _expert_gradients(shapes, batch.tokens, own))
    share, c = _share_bytes(shapes, batch), batch.compute
    weighed = shapes.hidden * (3 * share + (c if share > c else 0))
    wide = float(shapes.expert_width * c)
    adapted = wide if batch.checkpointed else 0.0
    halves = adapted if trained.adapts_experts else 3 * wide - shapes.hidden * c
    summed = (4 if trained.adapts_experts else 2) / 3 * _made_experts(shapes, trained, batch)
    return max(places * weighed, places * halves + summed)


def _expert_gradients(shapes: Shapes, tokens: int, own: int) -> float:
    """Gradients of one layer's own experts, less what its tokens have let go by then.

    They come as one tensor for all experts, far larger than any other of a layer, and before its attention's.
    """
    numbers = 3 * shapes.expert_count * shapes.expert_width * shapes.hidden
    return float(own) * (numbers - shapes.experts_active * (2 * shapes.expert_width + shapes.hidden) * tokens)


def _returning_a_token(shapes: Shapes, trained: Trained, batch: MicroBatch) -> float:
    """In bf16 of the product and both halves at once.

    Where adapters add in place, the product's input and the last norm's are gone by then: two more halves, less those.
    """
    if light := _light_width(shapes, batch):
        # The gradient, what the activation makes again, its gradient, and the gate's, less what came out of them. Or
        # both halves' gradient as one, stretched, and what the stretch learns from.
        is_one = any(linear.name == "gate_up_proj" for linear in shapes.linears)
        return float((3 if trained.layers else 6 if trained.stretches and is_one else 4) * light * batch.compute)
    if trained.in_place and not trained.layers:
        return 2.0 * shapes.intermediate * batch.compute - 4.0 * shapes.hidden
    parts = 3 if batch.compute == 2 else 2 if trained.layers else 1
    hidden = 2 if batch.compute == 2 else 1
    return float(shapes.intermediate * parts * batch.compute + hidden * shapes.hidden * 4)


def _is_adapted(shapes: Shapes, trained: Trained, names: tuple[str, ...]) -> list[Linear]:
    keeping = trained.adapted if trained.keeps_inputs else frozenset()
    return [linear for linear in shapes.linears if linear.name in names and linear.name in keeping]
