"""Events as load balancers and gateways make them, cut to what matters."""

import base64
import json


def balancer(method="GET", path="/api/v1/", *, body=b"", query=None, headers=None, multi=False):
    given = {"host": "fma.example.org", "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
    given |= headers or {}
    event = {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/x/1"}},
        "httpMethod": method,
        "path": path,
    }
    if multi:
        several = {name: value if isinstance(value, list) else [value] for name, value in (query or {}).items()}
        event |= {"multiValueQueryStringParameters": several}
        event["multiValueHeaders"] = {k: v if isinstance(v, list) else [v] for k, v in given.items()}
    else:
        event |= {"queryStringParameters": query or {}, "headers": given}
    return event | bodied(body)


def rest(method="GET", path="/api/v1/", *, body=b"", query=None, headers=None, stage="prod"):
    given = {"Host": "abc.execute-api.eu-west-1.amazonaws.com", "X-Forwarded-Proto": "https", **(headers or {})}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
        "requestContext": {
            "stage": stage,
            "path": f"/{stage}{path}",
            "httpMethod": method,
            "identity": {"sourceIp": "198.51.100.7"},
        },
    } | bodied(body)


def http(method="GET", path="/api/v1/", *, body=b"", query="", headers=None, cookies=None, stage="$default"):
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc.execute-api.eu-west-1.amazonaws.com", "x-forwarded-proto": "https", **(headers or {})},
        "requestContext": {"stage": stage, "http": {"method": method, "path": path, "sourceIp": "198.51.100.7"}},
    }
    if cookies:
        event["cookies"] = cookies
    return event | bodied(body)


FORMS = (balancer, rest, http)


def bodied(body):
    if isinstance(body, dict | list):
        body = json.dumps(body).encode()
    try:
        return {"body": body.decode() or None, "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def content(answer):
    """The bytes of an answer's body."""
    return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
