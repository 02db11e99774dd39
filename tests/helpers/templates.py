"""Chat templates in the manner of the families people use, and a tokenizer folder that carries one of them.

They are written for these tests; each has the habits that make its family hard: trimming, refused roles, moved tools,
dropped reasoning.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers.toy_tokenizers import CHATML, write_bpe_tokenizer

CHATML_PLAIN = CHATML.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")

# Marks around the text alone: the end token is left outside, as several published templates have it.
CHATML_TIGHT = CHATML.replace(
    "{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}",
    "{{- message['content'] -}}{%- endgeneration -%}{{- '<|im_end|>' -}}",
)

LLAMA3 = """{{- bos_token }}
{%- if tools is not none %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\nYou may call:\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson(indent=2) + '\\n' }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
        {%- for call in message.tool_calls %}
            {{- {'name': call.function.name, 'parameters': call.function.arguments} | tojson }}
        {%- endfor %}
        {{- '<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'
            + message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant') }}
    {%- endif %}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}
    {{- '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
"""

# Tools and the system prompt stand before the *last* question, so that earlier text is no prefix of later text.
MISTRAL = """{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] %}{% set rest = messages[1:] %}
{%- else %}
    {%- set system = '' %}{% set rest = messages %}
{%- endif %}
{%- set asked = rest | selectattr('role', 'equalto', 'user') | list %}
{{- bos_token }}
{%- for message in rest %}
    {%- if message.role == 'user' %}
        {%- if tools is not none and message == asked[-1] %}
            {{- '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}
        {%- endif %}
        {%- if loop.last and system %}
            {{- '[INST] ' + system + '\\n\\n' + message.content + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message.content + '[/INST]' }}
        {%- endif %}
    {%- elif message.tool_calls is defined %}
        {{- '[TOOL_CALLS] ' + message.tool_calls | tojson + eos_token }}
    {%- elif message.role == 'assistant' %}
        {{- ' ' + message.content | trim + eos_token }}
    {%- elif message.role == 'tool' %}
        {{- '[TOOL_RESULTS] ' + {'content': message.content} | tojson + '[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception('Only user, assistant and tool turns are supported after the first message') }}
    {%- endif %}
{%- endfor %}
"""

# Reasoning is kept in the last answer and dropped from earlier ones; an answer without any gets an empty block.
QWEN3 = """{%- set ns = namespace(last=-1) %}
{%- for message in messages[::-1] %}
    {%- if message.role == 'user' and ns.last < 0 %}
        {%- set ns.last = messages | length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {%- set thought = message.reasoning_content if message.reasoning_content is string
            else (message.content.split('</think>')[0].split('<think>')[-1].strip('\\n')
                  if '</think>' in message.content else '') %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last %}{{- '<think>\\n' + thought + '\\n</think>\\n\\n' }}{% endif %}
        {{- content + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""

# The cue opens a reasoning block that finished answers do not have.
DEEPSEEK = """{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{- '<|User|>' + message.content }}
    {%- elif message.role == 'assistant' %}{{- '<|Assistant|>' + message.content.split('</think>')[-1] + '<|end|>' }}
    {%- else %}{{- message.content }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|Assistant|><think>\\n' }}{% endif %}
"""

# name -> template, special tokens beside ChatML's, start of text, end of an answer
STYLES: dict[str, tuple[str, list[str], str, str]] = {
    "chatml": (CHATML, [], "", "<|im_end|>"),
    "chatml_plain": (CHATML_PLAIN, [], "", "<|im_end|>"),
    "chatml_tight": (CHATML_TIGHT, [], "", "<|im_end|>"),
    "llama3": (LLAMA3, ["<|bos|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|bos|>", "<|eot_id|>"),
    "gemma": (GEMMA, ["<bos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<end_of_turn>"),
    "mistral": (MISTRAL, ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"], "<s>", "</s>"),
    "qwen3": (QWEN3, [], "", "<|im_end|>"),
    "deepseek": (DEEPSEEK, ["<|bos|>", "<|User|>", "<|Assistant|>", "<|end|>"], "<|bos|>", "<|end|>"),
}


def write_tokenizer(folder: Path, style: str) -> Path:
    """A folder with a byte-level tokenizer that knows the style's special tokens, and its template."""
    from tokenizers import AddedToken, Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    template, specials, bos, eos = STYLES[style]
    write_bpe_tokenizer(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "pad_token": "<|endoftext|>"}
    if bos:
        config["bos_token"] = bos
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder
