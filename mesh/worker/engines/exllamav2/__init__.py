"""The ExLlamaV2 engine: EXL2, GPTQ and fp16 models on NVIDIA GPUs, many requests at once.

The only room that imports torch, exllamav2 and tokenizers. `engine` is what the worker sees;
`folder` reads a model's files, `memory` says whether it fits, `loading` loads it, `tensor` onto
several GPUs at once; `driver` is the thread that steps the library's generator, `answer` one
request in it, `sampler` how its tokens are chosen, `held` which may be, `text` how they become
text; `attention` replaces flash-attn where that is missing.
"""
