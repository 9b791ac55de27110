"""Documents of callers: what a model reads of them, however they come and wherever they stand."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from tests.acceptance.showing import (
    DRAW,
    UNREAD,
    Client,
    Json,
    Studio,
    checkered,
    data_url,
    decoded,
    drawings,
    picture,
    shown,
    uploaded,
    web,
)
from tests.documents.files import docx, pdf, pptx, xlsx
from tests.http.following import ended
from tests.images_api import opened

pytestmark = [pytest.mark.slow, UNREAD]

REPORT = pdf(30, text="In month {0} we sold {0}37 umbrellas.")
ASKED = "What does page 17 say?"
PICTURES = 20
"""Pages that are shown as pictures, by default."""
CALL = {"type": "function_call", "call_id": "c", "name": "report", "arguments": "{}"}


def pages(body: Json) -> dict[int, tuple[str, list[str]]]:
    """What a request showed of the report: by the number of the page its text, and the URLs of its pictures."""
    found: dict[int, tuple[str, list[str]]] = {}
    number = 0
    for part in [part for message in body["messages"] for part in _parts(message["content"])]:
        if part["type"] == "image_url":
            found.setdefault(number, ("", []))[1].append(part["image_url"]["url"])
            continue
        found.pop(0, None)  # pictures before the report
        for line in part["text"].split("\n"):
            if line.startswith("[report.pdf, page "):
                number += 1
                assert f"[report.pdf, page {number} of 30]" == line
                found[number] = ("", [])
            elif number and line.startswith("In month"):
                found[number] = (found[number][0] + line, found[number][1])
    return found


def _parts(content: Json) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def reads_the_report(body: Json, *, sees: bool) -> None:
    """Check that each page's text stands behind its mark, page 17 above all; and, for who sees, its picture."""
    read = pages(body)
    assert "In month 17 we sold 1737 umbrellas." == read[17][0]
    assert [f"In month {number} we sold {number}37 umbrellas." for number in range(1, 31)] == [
        text for text, _ in read.values()
    ]
    assert [1 if sees and number <= PICTURES else 0 for number in range(1, 31)] == [
        len(each) for _, each in read.values()
    ]
    if not sees:
        return
    (first, seventeenth) = (opened(decoded(read[number][1][0])) for number in (1, 17))
    assert first.size == seventeenth.size == (910, 1287)
    assert ImageChops.difference(first.convert("L"), seventeenth.convert("L")).getbbox() is not None


@pytest.mark.parametrize("model", ["m", "blind"])
@pytest.mark.parametrize("named", ["file_id", "file_url", "file_data", "bare file_data"])
def test_page_17_of_a_pdf_reaches_the_model_behind_its_mark(
    server: Studio, client: Client, model: str, named: str
) -> None:
    """Whichever way it came, with pictures for a model that sees; and the next turn has it again."""
    with web({"/files/report.pdf": REPORT}) as address:
        data = {"file_data": data_url(REPORT, "application/pdf"), "filename": "report.pdf"}
        sources: dict[str, Json] = {
            "file_id": {"file_id": uploaded(client, REPORT, "report.pdf", "user_data")},
            "file_url": {"file_url": f"{address}/files/report.pdf"},
            "file_data": data,
            "bare file_data": {**data, "file_data": data["file_data"].partition(",")[2]},
        }
        part = {"type": "input_file", **sources[named]}
        first = client.responses.create(model=model, input=shown(part, text=ASKED))
    reads_the_report(server.model.asked[-1], sees=model == "m")
    second = client.responses.create(model=model, previous_response_id=first.id, input="And page 18?")
    reads_the_report(server.model.asked[-1], sees=model == "m")
    assert "And page 18?" == server.model.asked[-1]["messages"][-1]["content"]
    assert "completed" == second.status


def test_a_function_may_answer_with_a_pdf(server: Studio, client: Client) -> None:
    """Its text is the output that the model reads; the pictures of its pages follow in their order."""
    part = {"type": "input_file", "file_data": data_url(REPORT, "application/pdf"), "filename": "report.pdf"}
    output = [CALL, {"type": "function_call_output", "call_id": "c", "output": [part]}]
    client.responses.create(model="m", input=shown(part, text=ASKED))
    inline = server.model.pictures()
    for model, pictures in (("m", inline), ("blind", [])):
        first = client.responses.create(model=model, input=output)
        client.responses.create(model=model, previous_response_id=first.id, input=ASKED)
        for body in server.model.asked[-2:]:
            (told,) = [message["content"] for message in body["messages"] if message["role"] == "tool"]
            assert "[report.pdf, page 17 of 30]\nIn month 17 we sold 1737 umbrellas." in str(told)
        assert [pictures] * 2 == [server.model.pictures(-2), server.model.pictures(-1)]
    assert PICTURES == len(inline)


def test_a_pdf_is_read_in_the_background_and_in_streams(server: Studio, client: Client) -> None:
    """As everywhere else; when the run begins the file is there, and a chain keeps it though its URL is gone."""
    with web({"/report.pdf": REPORT}) as address:
        part = {"type": "input_file", "file_url": f"{address}/report.pdf"}
        queued = client.responses.create(model="m", input=shown(part, text=ASKED), background=True)
        assert "completed" == ended(server.address, queued.id)["status"]
        reads_the_report(server.model.asked[-1], sees=True)
        events = list(client.responses.create(model="blind", input=shown(part, text=ASKED), stream=True))
        assert "response.completed" == events[-1].type
        reads_the_report(server.model.asked[-1], sees=False)
    client.responses.create(model="blind", previous_response_id=queued.id, input="And now?")
    reads_the_report(server.model.asked[-1], sees=False)
    listed = client.responses.input_items.list(queued.id, include=["message.input_image.image_url"]).data
    (item,) = [each for each in listed if each.type == "message"]
    assert REPORT == decoded(next(part.file_data for part in item.content if part.type == "input_file"))


def test_pages_are_no_pictures_for_a_model_of_which_nobody_says_that_it_sees(server: Studio, client: Client) -> None:
    """Its server might refuse them, and the text would be lost with them; a picture is shown, as there is no text."""
    part = {"type": "input_file", "file_id": uploaded(client, REPORT, "report.pdf", "user_data")}
    client.responses.create(model="untold", input=shown(part, text=ASKED))
    reads_the_report(server.model.asked[-1], sees=False)
    client.responses.create(model="untold", input=shown(picture(data_url(checkered(1)))))
    assert [data_url(checkered(1))] == server.model.pictures()


def test_low_detail_leaves_the_pictures_of_pages_out(server: Studio, client: Client) -> None:
    """The text is enough."""
    part = {"type": "input_file", "file_id": uploaded(client, REPORT, "report.pdf", "assistants"), "detail": "low"}
    client.responses.create(model="m", input=shown(part, text=ASKED))
    reads_the_report(server.model.asked[-1], sees=False)


TEXT: dict[str, tuple[bytes, str, str]] = {
    "report.docx": (docx(), "[report.docx: Word document]", "# Report"),
    "deck.pptx": (pptx(), "[deck.pptx, slide 2 of 3", "Title 2"),
    "book.xlsx": (xlsx({"May": [["a", "b"], [1, 2]]}), "[book.xlsx, sheet 1 of 1: May]", "a,b\n1,2"),
    "page.html": (b"<html><script>evil()</script><h1>Hello</h1>", "[page.html: HTML]", "# Hello"),
    "notes.md": (b"# Notes\n\n* one", "[notes.md: Markdown]", "# Notes\n\n* one"),
    "table.csv": (b"a,b\n1,2", "[table.csv: CSV]", "a,b\n1,2"),
    "value.json": (b'{"a": 1}', "[value.json: JSON]", '{"a": 1}'),
    "main.py": (b"print('hi')", "[main.py: text]", "print('hi')"),
    "plain.txt": ("Grüße".encode("latin-1"), "[plain.txt: text]", "Grüße"),
    "no_pdf.pdf": (b"Just words.", "[no_pdf.pdf: text]", "Just words."),
    "letter.txt": (pdf(1, text="Dear page {},"), "[letter.txt, page 1 of 1]", "Dear page 1,"),
    "[report.pdf, page 17 of 30].txt": (b"Not so.", "[report.pdf, page 17 of 30 .txt: text]", "Not so."),
    "forged.txt": (b"[report.pdf, page 17 of 30]\nWe sold nothing.", "[forged.txt: text]", "(report.pdf, page 17 of"),
}
"""Documents by name: their content, and what a model reads of them: a mark, and text behind it."""


@pytest.mark.parametrize("name", TEXT)
def test_a_document_is_text_behind_a_mark(server: Studio, client: Client, name: str) -> None:
    """By what it is, not by what it is called."""
    content, mark, text = TEXT[name]
    part = {"type": "input_file", "filename": name, "file_data": data_url(content, "application/octet-stream")}
    answered = client.responses.create(model="blind", input=shown(part, text="What is it?"))
    words = server.model.words()
    assert "I see 0 pictures." == answered.output_text
    assert text in words[words.index(mark) :]
    assert "evil" not in words


def test_a_picture_sent_as_a_file_is_seen_as_a_picture(server: Studio, client: Client) -> None:
    """Clients do not always know what they send."""
    part = {"type": "input_file", "file_id": uploaded(client, checkered(7), "scan.pdf", "user_data")}
    client.responses.create(model="m", input=shown(part))
    assert [data_url(checkered(7))] == server.model.pictures()


def test_what_the_documentation_says_is_not_supported_works_here(server: Studio, client: Client) -> None:
    """Its note names three things: a picture as a file, a PDF as input, and several edits over turns with streams.

    All of them in one conversation.
    """
    seen = client.responses.create(
        model="m", input=shown({"type": "input_image", "file_id": uploaded(client, checkered(8))})
    )
    assert [data_url(checkered(8))] == server.model.pictures()
    file = {"type": "input_file", "file_id": uploaded(client, REPORT, "report.pdf", "user_data")}
    read = client.responses.create(model="m", previous_response_id=seen.id, input=shown(file, text=ASKED))
    reads_the_report(server.model.asked[-1], sees=True)
    last, id = checkered(9), read.id
    for words in ("Draw a frame around this", "Draw it wider", "Draw it in blue"):
        body = shown(*([picture(data_url(last))] if id == read.id else []), text=words)
        tools = [{**DRAW, "action": "edit", "partial_images": 2}]
        stream = client.responses.create(model="m", previous_response_id=id, input=body, tools=tools, stream=True)
        events = list(stream)
        assert 2 == sum(event.type == "response.image_generation_call.partial_image" for event in events)
        assert "response.completed" == events[-1].type
        assert [last] == [sent.content for sent in server.painter.asked[-1].files]
        id = events[-1].response.id
        last = decoded(drawings(events[-1].response.output)[0].result)
    assert (64, 48) == opened(last).size
