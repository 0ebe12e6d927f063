from tests.sdk.serving import server

__all__ = ["server"]
