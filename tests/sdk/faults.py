"""A connection to a real server that breaks where a test wants it to."""

import httpx


class Faulty(httpx.BaseTransport):
    """Passes everything on; ``fault(request)`` may name what goes wrong with a call: a Fault, or None."""

    def __init__(self, fault):
        self.requests = []
        self._fault = fault
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request):
        self.requests.append(request)
        fault = self._fault(request)
        return self._inner.handle_request(request) if fault is None else fault(self._inner, request)

    def close(self):
        self._inner.close()

    def calls(self, method, ending):
        return [r for r in self.requests if r.method == method and r.url.path.endswith(ending)]


def once(method, ending, *faults):
    """Let the first calls of this kind go wrong, each in its way."""
    left = list(faults)

    def fault(request):
        if left and request.method == method and request.url.path.endswith(ending):
            return left.pop(0)
        return None

    return fault


def lose_answer(inner, request):
    """The server has done it, and nobody is told."""
    inner.handle_request(request).read()
    raise httpx.ReadError("the answer was lost")


def cut_body(after):
    """The request breaks off."""

    def fault(inner, request):
        data = request.read()
        headers = [(name, value) for name, value in request.headers.raw]
        inner.handle_request(httpx.Request(request.method, request.url, headers=headers, content=Broken(data[:after])))
        raise AssertionError("a broken body was answered")

    return fault


def cut_answer(after):
    """The answer breaks off."""

    def fault(inner, request):
        response = inner.handle_request(request)
        data = response.read()[:after]
        return httpx.Response(response.status_code, headers=response.headers, stream=Broken(data))

    return fault


class Broken(httpx.SyncByteStream):
    def __init__(self, data):
        self._data = data

    def __iter__(self):
        yield self._data
        raise httpx.ReadError("cut")
