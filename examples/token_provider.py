"""Sign in with a token instead of a key, as programs do that were written for Azure.

With Azure the provider is ``get_bearer_token_provider(DefaultAzureCredential(), SCOPE)`` of the package
``azure-identity``. A server that trusts the issuer takes its tokens; to others a bearer's text is a key like any other.
"""

from __future__ import annotations

import os

from openai import AzureOpenAI


def token_provider() -> str:
    """Give the token of the next request."""
    return os.environ.get("ANTIPHON_KEY", "any")


client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    azure_ad_token_provider=token_provider,
    api_version="preview",
)

response = client.responses.create(
    model="gpt-4.1-nano",
    input="This is a test",
)

print(response.output_text)
