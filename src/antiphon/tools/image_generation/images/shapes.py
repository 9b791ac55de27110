"""What servers of the images API say, as far as it is used; all of it may be missing."""

from __future__ import annotations

from msgspec import Raw, Struct

NULL = Raw(b"null")


class Picture(Struct, frozen=True):
    """One picture of an answer."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class Said(Struct, frozen=True):
    """A whole answer, or an event of a stream; ``type`` tells them apart."""

    type: str | None = None
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    data: list[Picture] | None = None
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    size: str | None = None
    usage: Raw = NULL
    error: Raw = NULL

    @property
    def picture(self) -> Picture | None:
        """The picture in it."""
        if self.b64_json or self.url:
            return Picture(b64_json=self.b64_json, url=self.url, revised_prompt=self.revised_prompt)
        return next((each for each in self.data or [] if each.b64_json or each.url), None)


class TokenDetails(Struct, frozen=True):
    """Tokens by kind."""

    image_tokens: int | None = None
    text_tokens: int | None = None


class Usage(Struct, frozen=True):
    """What a picture cost, in tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None


class ModerationDetails(Struct, frozen=True):
    """What a filter found."""

    categories: list[str] = []
    moderation_stage: str | None = None


class Fault(Struct, frozen=True):
    """An error."""

    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    message: str | None = None
    moderation_details: ModerationDetails | None = None
