"""A self-hosted server for the OpenAI and Azure OpenAI Responses API."""
