"""Talk over one WebSocket: two turns of which nothing is stored, then two lanes at once."""

from __future__ import annotations

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
)

with client.responses.connect() as connection:
    previous = None
    for question in ("Why is the sky blue?", "And why is the sunset red?"):
        connection.response.create(model="gpt-4o", input=question, previous_response_id=previous, store=False)
        for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
            elif event.type == "response.completed":
                previous = event.response.id
                print()
                break
            elif event.type in {"response.failed", "response.incomplete", "error"}:
                raise SystemExit(event.to_json())

    going = {"one", "two"}
    for lane in sorted(going):
        connection.send({"type": "response.create", "model": "gpt-4o", "input": "Tell me a story.", "stream_id": lane})
    while going:
        event = connection.recv()
        if event.type in {"response.completed", "response.failed", "response.incomplete", "error"}:
            going.discard(event.stream_id or "")
            print(f"{event.stream_id}: {event.type}")
