"""How every model here spells its thoughts and its calls of tools, within the one text it writes.

<think>
It may be raining there.
</think>
<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call>
"""

THINK, THOUGHT = "<think>", "</think>"

OPEN, CLOSE = "<tool_call>", "}\n</tool_call>"
NAME, ARGUMENTS = '\n{"name": "', '", "arguments": '
"""A call: OPEN, NAME, its name, ARGUMENTS, the JSON of its arguments, CLOSE."""
