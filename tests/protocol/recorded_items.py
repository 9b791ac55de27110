"""Items as the live service sent them, one a kind; long strings are cut."""

from __future__ import annotations

from typing import Any

RecordedItem = dict[str, Any]  # JSON of the live service

RECORDED: dict[str, RecordedItem] = {
    "apply_patch_call/create_file": {
        "id": "apc_0c68f453bf84c6ba006a2861ff9bf0819289132c030686e647",
        "type": "apply_patch_call",
        "status": "completed",
        "call_id": "call_fLbpKUVE6PieZQm9wlxzAXdU",
        "operation": {"type": "create_file", "diff": "+hello world\n", "path": "hello.txt"},
    },
    "apply_patch_call/delete_file": {
        "id": "apc_0e6d2858d1bd69ea006a766d840064819b8fc668be8a3a76b6",
        "type": "apply_patch_call",
        "status": "completed",
        "call_id": "call_nQm0ktFiaR1Zu263SzWETFfB",
        "operation": {"type": "delete_file", "path": "obsolete.txt"},
    },
    "apply_patch_call/update_file": {
        "id": "apc_079f865363d6f553006a765fc3c53881999f08afc742664f91",
        "type": "apply_patch_call",
        "status": "completed",
        "call_id": "call_3FXfANpBhqAPgnLge5QeURxA",
        "operation": {"type": "update_file", "diff": "@@\n-def fib(n):\n+def fibonacci(n):", "path": "lib/fib.py"},
    },
    "code_interpreter_call/outputs:": {
        "id": "ci_024ee52fc1900767006903bf38f1f08193a0b46ddc935fa028",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": 'filename = "/mnt/data/two_dice_sums_1000',
        "container_id": "cntr_6903bf2c0470819090b2b1e63e0b66800c139a5d654a42ec",
        "outputs": [],
    },
    "code_interpreter_call/outputs:image,logs": {
        "id": "ci_06c1a26fd89d07f20068dd937636948197b6c45865da36d8f7",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "import numpy as np\r\nimport matplotlib.py",
        "container_id": "cntr_68dd936a4cfc81908bdd4f2a2f542b5c0a0e691ad2bfd833",
        "outputs": [
            {"type": "image", "url": "data:image/png;base64,iVBORw0KGgo="},
            {"type": "logs", "logs": "'/mnt/data/y_eq_x_squared_plot.png'"},
        ],
    },
    "code_interpreter_call/outputs:logs": {
        "id": "ci_0ad69c3c5fcb01f60068eba7939b2c8193b42d4d517ca5d25f",
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "# Program: generate five random numbers",
        "container_id": "cntr_68eba78d6dc081908116b7ad7a32f52d0050b146e60e47a9",
        "outputs": [{"type": "logs", "logs": "Generated numbers (as floats): [88.99, 5"}],
    },
    "code_interpreter_call/outputs:null": {
        "code": "import pandas as pd\r\n\r\n# Path to the upl",
        "container_id": "cntr_6a3d55ae040c8191a9b06f7e22737f2c0badcf6f6b25e173",
        "id": "ci_073d403c1ff1554a006a3d55b6aa2c81a0b3f945befbf39a4a",
        "outputs": None,
        "status": "completed",
        "type": "code_interpreter_call",
    },
    "compaction": {
        "encrypted_content": "gAAAAABp4CVuo_va1l5KdyyIfA553gFmrl8KTk8S",
        "id": "cmp_0b0c928ec0ba401f0069e0256e19388193b74237b70aeed0f5",
        "type": "compaction",
    },
    "computer_call/click": {
        "id": "cu_0941082ef2da27990069845751344c819784dca3eff538e3c7",
        "type": "computer_call",
        "status": "completed",
        "action": {"type": "click", "button": "left", "x": 438, "y": 431},
        "call_id": "call_exgK7KIJrD4qeeUElho8qXqJ",
        "pending_safety_checks": [],
    },
    "computer_call/screenshot": {
        "id": "cu_0941082ef2da27990069845746be248197ba749bc4abcc6edc",
        "type": "computer_call",
        "status": "in_progress",
        "action": {"type": "screenshot"},
        "call_id": "call_VDMdWRSIgmAHMCdqRTyDL5pF",
        "pending_safety_checks": [],
    },
    "custom_tool_call": {
        "id": "ctc_08276aed2af067dc006a5102c2515481a38a5b8ecba38ec66b",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_hRAWRRZNE6oIyNmhqRjOLa4j",
        "input": "Policy lookup completed: extra-policy = 71 degrees.",
        "name": "write_release_note",
    },
    "file_search_call/results:list": {
        "id": "fs_08aa886305ae5628006939ad6cfa30819a85b07d52d61eb121",
        "queries": ["What is the capital of France?"],
        "results": [
            {
                "attributes": {},
                "file_id": "file-2b6dRdmXnzSrqiEbhVJZRU",
                "filename": "tmpd_9a5dki.txt",
                "score": 0.9716,
                "text": "Paris is the capital of France. It is kn",
                "vector_store_id": "vs_6939ad669c648191821c3a46f90cf33d",
            }
        ],
        "status": "completed",
        "type": "file_search_call",
    },
    "file_search_call/results:null": {
        "id": "fs_083ce8e7bd81902a0069bb31259740819092a62e3d7869cc04",
        "type": "file_search_call",
        "status": "completed",
        "queries": ["What is Travis's favorite food?", "Travis favorite food"],
        "results": None,
    },
    "function_call": {
        "id": "fc_0b55bae359237c48016ab2c308d28087d18cd079eb7747cb75",
        "type": "function_call",
        "status": "completed",
        "arguments": "{}",
        "call_id": "call_vjzHNCqMpYWWL5lwhUNl17nC",
        "name": "get_time",
    },
    "image_generation_call": {
        "id": "ig_05a9c67de52e26b30069c702053be88197a6a4fb8290bc4555",
        "type": "image_generation_call",
        "status": "completed",
        "action": "generate",
        "background": "transparent",
        "output_format": "png",
        "quality": "high",
        "result": "iVBORw0KGgo=",
        "revised_prompt": "A golden retriever happily playing fetch",
        "size": "1024x1024",
    },
    "local_shell_call": {
        "id": "lsh_68da7fd99b3c8194bd624b18c0c0851b0faf5df54b42d9a6",
        "type": "local_shell_call",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls", "-a"], "env": {}},
        "call_id": "call_h3nm8hUG0KO9tVNuRACkL1ri",
    },
    "mcp_approval_request": {
        "id": "mcpr_04a97b4fce127879006949a83ac9308195a7f7b69ea82e91fe",
        "type": "mcp_approval_request",
        "arguments": '{"alias":"","description":"Shortened lin',
        "name": "create_short_url",
        "server_label": "zip1",
    },
    "mcp_call/err:None": {
        "id": "mcp_04a97b4fce127879006949a87c14248195ac23dfe0854c03d3",
        "type": "mcp_call",
        "status": "completed",
        "approval_request_id": "mcpr_04a97b4fce127879006949a8672ac081959f95aa8ceedb7cd9",
        "arguments": '{"alias":"","description":"Shortened lin',
        "error": None,
        "name": "create_short_url",
        "output": "✅ Short URL created: https://zip1.io/UDK",
        "server_label": "zip1",
    },
    "mcp_call/err:http_error": {
        "approval_request_id": None,
        "arguments": '{"time_min":"2025-10-23T00:00:00","time_',
        "error": {"code": 500, "message": "An unknown error occurred while executing the tool.", "type": "http_error"},
        "id": "mcp_0558010cf1416a490068faa0fdf64481a085a3e5b8f7d6559a",
        "name": "search_events",
        "output": None,
        "server_label": "google_calendar",
        "status": "failed",
        "type": "mcp_call",
    },
    "mcp_list_tools": {
        "id": "mcpl_034c5e93e2fa45ad006a2c2b74d53c819dbb0f25635141142d",
        "type": "mcp_list_tools",
        "server_label": "deepwiki",
        "tools": [
            {
                "annotations": {"read_only": False},
                "description": "Get a list of documentation topics for a",
                "input_schema": {
                    "properties": {"repoName": {"type": "string"}},
                    "required": ["repoName"],
                    "type": "object",
                },
                "name": "read_wiki_structure",
            },
            {
                "annotations": {"read_only": False},
                "description": "View documentation about a GitHub reposi",
                "input_schema": {
                    "properties": {"repoName": {"type": "string"}},
                    "required": ["repoName"],
                    "type": "object",
                },
                "name": "read_wiki_contents",
            },
        ],
    },
    "message/output_text": {
        "content": [{"annotations": [], "logprobs": [], "text": "PARIS", "type": "output_text"}],
        "id": "msg_06b0247c86ddff61006a7be6e9906081a3b371740fffcf68ea",
        "role": "assistant",
        "status": "completed",
        "type": "message",
    },
    "message/output_text+ann:container_file_citation": {
        "id": "msg_06c1a26fd89d07f20068dd937ecbd48197bd91dc501bd4a4d4",
        "type": "message",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "annotations": [
                    {
                        "type": "container_file_citation",
                        "container_id": "cntr_68dd936a4cfc81908bdd4f2a2f542b5c0a0e691ad2bfd833",
                        "end_index": 0,
                        "file_id": "cfile_68dd937c234081919ee5238a16b4fd87",
                        "filename": "cfile_68dd937c234081919ee5238a16b4fd87.png",
                        "start_index": 0,
                    },
                    {
                        "type": "container_file_citation",
                        "container_id": "cntr_68dd936a4cfc81908bdd4f2a2f542b5c0a0e691ad2bfd833",
                        "end_index": 132,
                        "file_id": "cfile_68dd9381192c81918f24ee3f0294cce6",
                        "filename": "y_eq_x_squared_plot.png",
                        "start_index": 91,
                    },
                ],
                "logprobs": [],
                "text": "Here's the chart of y = x^2 for x from -",
            }
        ],
        "role": "assistant",
    },
    "message/output_text+ann:file_citation": {
        "id": "msg_083ce8e7bd81902a0069bb31272c748190a3170c14dd455c9c",
        "type": "message",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "annotations": [
                    {
                        "type": "file_citation",
                        "file_id": "file-NCKrwcbrD1Z2ucn4Mhe1yX",
                        "filename": "test_favorite_foods.txt",
                        "index": 31,
                    }
                ],
                "logprobs": [],
                "text": "Travis's favorite food is pizza.",
            }
        ],
        "role": "assistant",
    },
    "message/output_text+ann:url_citation": {
        "id": "msg_0a4b29f86cea8812016a85bef4f60887d2b6c632e68fa7c43b",
        "type": "message",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "annotations": [
                    {
                        "type": "url_citation",
                        "end_index": 138,
                        "start_index": 62,
                        "title": "Download Ruby | Ruby",
                        "url": "https://www.ruby-lang.org/en/downloads/?utm_source=openai",
                    }
                ],
                "logprobs": [],
                "text": "The latest stable Ruby (MRI/CRuby) versi",
            }
        ],
        "role": "assistant",
    },
    "message/output_text+ann:url_citation/phase:final_answer": {
        "content": [
            {
                "annotations": [
                    {
                        "end_index": 125,
                        "start_index": 5,
                        "title": "133 years and 330 metres - The Eiffel Tower",
                        "type": "url_citation",
                        "url": "https://www.toureiffel.paris/en/news/his",
                    }
                ],
                "logprobs": [],
                "text": "1889 ([toureiffel.paris](https://www.tou",
                "type": "output_text",
            }
        ],
        "id": "msg_0c7df91b4856b264006a63377d14888196875820327b5c1e0a",
        "phase": "final_answer",
        "role": "assistant",
        "status": "completed",
        "type": "message",
    },
    "message/output_text/phase:commentary": {
        "id": "msg_0f7fbd455c30f0e6006a7cdba8f85081a2a0b3fb3bb178ebef",
        "type": "message",
        "status": "completed",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": ""}],
        "phase": "commentary",
        "role": "assistant",
    },
    "message/output_text/phase:final_answer": {
        "id": "msg_00ace03b97458276016a9adae9cd5c87d1808fe6fe05034628",
        "type": "message",
        "status": "completed",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi!"}],
        "phase": "final_answer",
        "role": "assistant",
    },
    "message/refusal": {
        "id": "msg_0d0a107ddd23ca6d0068f966cb28348195b8b7026a912c3dd1",
        "type": "message",
        "status": "completed",
        "content": [{"type": "refusal", "refusal": "I'm very sorry, but I can't assist with that."}],
        "role": "assistant",
    },
    "program": {
        "id": "cm_0e38e29ac9227ec3006a531b33761c819ea95b85b014e8a0bb",
        "type": "program",
        "call_id": "call_mhtmpTLgXQ91E9h8M4NJU0yE",
        "code": "const inv = await tools.get_inventory({s",
        "fingerprint": "gAAAAABqUxsz84coVExt0z5mOeWh6s6AUXq5PpNd",
    },
    "program_output": {
        "id": "cmo_04d845086bc20e96006a531b3622d48191a8350d56555751d3",
        "type": "program_output",
        "status": "completed",
        "call_id": "call_ZggswGcryTkdT4RGDDnD2I3O",
        "result": '{"available_units":42,"sku":"sku_123"}',
    },
    "reasoning": {"id": "rs_017893c25992c59a006a1eeed3bc688199a1e7b959b9b6ad61", "type": "reasoning", "summary": []},
    "reasoning/content": {
        "id": "rs_0e43f2340229131f016a513fd8e8408192ac4f65b55010a798",
        "type": "reasoning",
        "content": [],
        "summary": [],
    },
    "reasoning/enc": {
        "encrypted_content": "gAAAAABp_le-fGGiXvsyykokPLqwXfnro3XN1UEg",
        "id": "rs_08dbeb3d47fa8ae30069fe579c5b408195a4a002466b8c2c86",
        "summary": [],
        "type": "reasoning",
    },
    "reasoning/enc/content": {
        "id": "rs_00ace03b97458276016a9adaebf51087d19b732aa037878583",
        "type": "reasoning",
        "content": [],
        "encrypted_content": "gAAAAABqmtrsHFG8mP3mUE0OzgTbA-Ra_UITtDpm",
        "summary": [],
    },
    "reasoning/summary": {
        "id": "rs_0ab86fa216ba81e1016a0e8f2fcc68819896ecd3e22242dd4b",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "**Determining the 3rd tallest building**"}],
    },
    "reasoning/summary/enc": {
        "id": "rs_06c839edbdd88254016a3c11a93e1481908acf9bbba9834b75",
        "type": "reasoning",
        "encrypted_content": "gAAAAABqPBGrKjD01kd8LMXKPzrpUQYsnwVjal8S",
        "summary": [{"type": "summary_text", "text": "**Getting weather for Florence**\n\nThe us"}],
    },
    "reasoning/summary/enc/content": {
        "id": "rs_071dcb17a7bfa5ef016a7068d0397481919b5cf8c07f3f1609",
        "type": "reasoning",
        "content": [],
        "encrypted_content": "gAAAAABqcGjXSJvy9LJXVqlFmD29z7ZIUjIpgBBY",
        "summary": [{"type": "summary_text", "text": "**Preparing exact web search query**"}],
    },
    "shell_call": {
        "id": "sh_049350089f7281c400698f717eed7881919bf2396c4409b2e7",
        "type": "shell_call",
        "status": "completed",
        "action": {
            "commands": ["ls -R /home/oai/skills/island-rescue-ab6"],
            "max_output_length": None,
            "timeout_ms": None,
        },
        "call_id": "call_ckIythV1s1RcnbGV4F34THGN",
        "environment": {
            "type": "container_reference",
            "container_id": "cntr_698f717adffc8191ab9e49d1a0a7357e0bfbc8c57bdfa4aa",
        },
    },
    "shell_call_output": {
        "id": "sho_049350089f7281c400698f7180b2408191b71d13d85b8fd6ed",
        "type": "shell_call_output",
        "status": "completed",
        "call_id": "call_ckIythV1s1RcnbGV4F34THGN",
        "max_output_length": None,
        "output": [
            {
                "outcome": {"type": "exit", "exit_code": 0},
                "stderr": "",
                "stdout": "/home/oai/skills/island-rescue-ab6238cd3",
            }
        ],
    },
    "tool_search_call": {
        "arguments": {"paths": ["get_weather"]},
        "call_id": None,
        "execution": "server",
        "id": "tsc_091af5051d4967d3006a72162109808196b47a7bc5b4b9ce94",
        "status": "completed",
        "type": "tool_search_call",
    },
    "tool_search_output": {
        "call_id": None,
        "execution": "server",
        "id": "tso_091af5051d4967d3006a7216212cb88196950ec1b2706747d2",
        "status": "completed",
        "tools": [
            {
                "defer_loading": True,
                "description": "Get the current weather in a city.",
                "name": "get_weather",
                "output_schema": None,
                "parameters": {
                    "additionalProperties": False,
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                    "type": "object",
                },
                "strict": True,
                "type": "function",
            }
        ],
        "type": "tool_search_output",
    },
    "web_search_call/None": {
        "id": "ws_0b557de166e92e4b0069d46c933a788195ab8a50b2229b0d81",
        "type": "web_search_call",
        "status": "incomplete",
    },
    "web_search_call/find_in_page": {
        "action": {"pattern": "is best for", "type": "find_in_page", "url": "https://learn.microsoft.com/en-us/azure/"},
        "id": "ws_0b284a664fb26d700169b12d93bc7881908409a6cac956dc3b",
        "status": "completed",
        "type": "web_search_call",
    },
    "web_search_call/open_page": {
        "action": {"type": "open_page", "url": "https://www.cbsnews.com/live-updates/ira"},
        "id": "ws_0d9d3a34bed664ee006a283951e8bc81a19f2f4773d9776982",
        "status": "completed",
        "type": "web_search_call",
    },
    "web_search_call/search": {
        "id": "ws_04e96476cd87d301016a7068a8c6c081a19e9ac5241a06b49b",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "queries": ["Braintrust SDK JavaScript"], "query": "Braintrust SDK JavaScript"},
    },
}
