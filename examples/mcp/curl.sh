#!/bin/sh
# The three with curl: sh examples/mcp/curl.sh plain | approve | deny | headers
set -eu

antiphon="${ANTIPHON_URL:-http://127.0.0.1:8080}"
mcp="${MCP_URL:-http://127.0.0.1:9000/mcp}"

ask() {
    curl --silent --show-error --fail-with-body "$antiphon/openai/v1/responses?api-version=preview" \
        -H "Content-Type: application/json" \
        -H "Authorization: Bearer ${ANTIPHON_KEY:-any}" \
        -d "$1"
}

id_of() { # the first id with this beginning, of the JSON that is read
    grep -o "\"id\": *\"$1_[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

plain() {
    ask '{
        "model": "gpt-4.1",
        "tools": [
            {
                "type": "mcp",
                "server_label": "notebook",
                "server_url": "'"$mcp"'",
                "require_approval": "never"
            }
        ],
        "input": "What do my notes say about the wind?"
    }'
}

answer() { # with true or false
    first=$(ask '{
        "model": "gpt-4.1",
        "tools": [{"type": "mcp", "server_label": "notebook", "server_url": "'"$mcp"'"}],
        "input": "Note that the library closes at six."
    }')
    ask '{
        "model": "gpt-4.1",
        "tools": [{"type": "mcp", "server_label": "notebook", "server_url": "'"$mcp"'"}],
        "previous_response_id": "'"$(printf "%s" "$first" | id_of resp)"'",
        "input": [{
            "type": "mcp_approval_response",
            "approve": '"$1"',
            "approval_request_id": "'"$(printf "%s" "$first" | id_of mcpr)"'"
        }]
    }'
}

headers() {
    ask '{
        "model": "gpt-4.1",
        "tools": [
            {
                "type": "mcp",
                "server_label": "notebook",
                "server_url": "'"$mcp"'",
                "headers": {
                    "Authorization": "Bearer '"${MCP_TOKEN:-secret}"'"
                },
                "require_approval": "never"
            }
        ],
        "input": "What do my notes say about bread?"
    }'
}

case "${1:-plain}" in
    plain) plain ;;
    approve) answer true ;;
    deny) answer false ;;
    headers) headers ;;
    *) echo "usage: curl.sh plain | approve | deny | headers" >&2; exit 2 ;;
esac
